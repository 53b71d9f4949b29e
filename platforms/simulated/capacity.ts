/** How full a simulated site is: real free space, or a capacity that a test or a demonstration sets. */
import { readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { OperatorError } from '../../model/errors';
import { readSettings, type Site } from './site';

/** Bytes free at the site. */
export async function freeBytes(site: Site): Promise<number> {
  const { capacityBytes } = await readSettings(site);
  if (capacityBytes !== null) return Math.max(0, capacityBytes - (await usedBytes(site)));
  const { bavail, bsize } = await statfs(site.folder);
  return bavail * bsize;
}

/** @throws OperatorError when fewer than `bytes` are free, or nothing is. */
export async function requireSpace(site: Site, bytes: number): Promise<void> {
  const free = await freeBytes(site);
  if (free >= bytes && free > 0) return;
  throw new OperatorError({
    what: `storage of site ${site.id} is full`,
    found: `${free} bytes free`,
    needed: `${Math.max(bytes, 1)} bytes`,
    remedy: 'Free or add storage, then retry.',
  });
}

async function usedBytes(site: Site): Promise<number> {
  let sum = 0;
  for (const part of ['disks', 'replicas', 'recovered']) {
    const entries = await readdir(join(site.folder, part), { recursive: true }).catch(() => [] as string[]);
    for (const entry of entries) {
      const found = await stat(join(site.folder, part, entry)).catch(() => undefined);
      if (found?.isFile()) sum += found.size;
    }
  }
  return sum;
}

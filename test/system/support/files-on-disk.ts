/** Every file of an ext4 volume as an independent reader sees it: kind, mode and path, and the SHA-256 of what it holds. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { partition } from './counter-on-disk';
import { sh } from '../../replication/support/tools';

/** The demo guest's root volume (tools/demo-guest/README.md). */
const rootPartition = 1;

/** `disk`: a qcow2 image, also one that somebody has open. Sorted lines. */
export async function filesOnRoot(disk: string, scratch: string): Promise<string[]> {
  const raw = join(scratch, 'files.raw');
  const folder = join(scratch, 'files');
  await sh('qemu-img', 'convert', '-U', '-O', 'raw', disk, raw);
  mkdirSync(folder);
  try {
    const { start } = await partition(raw, rootPartition);
    await sh('debugfs', '-R', `rdump / ${folder}`, `${raw}?offset=${start}`);
    const modes = await sh('sh', '-c', 'cd "$1" && find . -printf "%y %m %p -> %l\\n"', 'sh', folder);
    const digests = await sh('sh', '-c', 'cd "$1" && find . -type f -print0 | xargs -0 sha256sum', 'sh', folder);
    return [...modes.split('\n'), ...digests.split('\n')].sort();
  } finally {
    rmSync(raw);
    rmSync(folder, { recursive: true });
  }
}

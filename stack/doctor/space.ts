/** Room on the storage: bytes and inodes, at the nearest part of the path that exists. */
import type { StatsFs } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { formatSize } from '../../model/durations';
import type { Check } from './check';
import type { Place } from './place';
import { ok, problem, warning, type Finding } from './report';

const gibibyte = 1024 ** 3;
/** Below the first a recovery can hardly end; below the second the next night may be the one. */
const leastBytes = gibibyte;
const fewBytes = 10 * gibibyte;
const leastInodes = 1_000;
const fewInodes = 20_000;

export function spaceChecks({ configuration, folder }: Place): Check[] {
  const sites = configuration.sites.filter(({ id }) => configuration.worker.sites.includes(id));
  const places = [
    { id: 'data', title: 'the data folder', path: folder.root },
    { id: 'evidence', title: 'evidence', path: configuration.evidenceFolder },
    ...sites.map(({ id, folder: path }) => ({ id: `site.${id}`, title: `replicas of site ${id}`, path })),
  ];
  return places.map(({ id, title, path }) => ({
    id: `space.${id}`,
    title: `room for ${title}`,
    look: () => look(path),
  }));
}

async function look(path: string): Promise<Finding> {
  const { bavail, bsize, ffree, files } = await nearest(path);
  return judgeSpace(path, bavail * bsize, files === 0 ? null : ffree);
}

/** @param freeInodes null: a filesystem that counts none (btrfs) */
export function judgeSpace(path: string, freeBytes: number, freeInodes: number | null): Finding {
  const inodes = freeInodes === null ? '' : ` and ${freeInodes} inodes`;
  const found = `${formatSize(freeBytes)}${inodes} free at ${path}`;
  const needed = `at least ${formatSize(fewBytes)} and ${fewInodes} inodes`;
  const remedy =
    'Make room or add storage. `muster replicas` shows what each replica takes; fewer points are kept with a lower --keep.';
  if (freeBytes < leastBytes || (freeInodes ?? Infinity) < leastInodes) return problem(found, needed, remedy);
  if (freeBytes < fewBytes || (freeInodes ?? Infinity) < fewInodes) return warning(found, needed, remedy);
  return ok(found, needed);
}

async function nearest(path: string): Promise<StatsFs> {
  try {
    return await statfs(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if ((code === 'ENOENT' || code === 'ENOTDIR') && path !== dirname(path)) return nearest(dirname(path));
    throw error;
  }
}

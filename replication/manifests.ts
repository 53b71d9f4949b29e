/**
 * Manifests on disk, and which points are complete: a readable manifest, every layer's file there, and an unbroken chain
 * down to a base. A manifest of which one of these is not true is an orphan and is not offered for recovery.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { PointManifest } from '../model/replica';
import { readJson, removeDurably, temporarySuffix, writeDurably } from './durable';
import type { ReplicaPlace } from './place';

const piece = z.object({ offsetBytes: z.number().int().nonnegative(), hex: z.string().regex(/^([0-9a-f]{2})+$/) });
const signature = z.object({
  partition: z.number().int().nonnegative(),
  volumeOffsetBytes: z.number().int().nonnegative(),
  volumeSizeBytes: z.number().int().positive(),
  type: z.string(),
  pieces: z.array(piece),
});
const disk = z.object({
  diskId: z.string(),
  // A path out of the layers' folder would let a manifest name, and a merge overwrite, any file.
  file: z.string().regex(/^layers\/[A-Za-z0-9._-]+$/),
  virtualSizeBytes: z.number().int().positive(),
  storedBytes: z.number().int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  signatures: z.array(signature),
});
const manifest = z.object({
  format: z.literal(1),
  pointId: z.string(),
  serverId: z.string(),
  sequence: z.number().int().positive(),
  parentPointId: z.string().nullable(),
  takenAt: z.iso.datetime(),
  completedAt: z.iso.datetime(),
  clockSkewMs: z.number().nullable(),
  consistency: z.enum(['application', 'file-system', 'crash']),
  origin: z.object({ siteId: z.string(), machineName: z.string() }),
  codec: z.enum(['qcow2', 'raw']),
  keyRef: z.string().nullable(),
  disks: z.array(disk).min(1),
});
const mergeRecord = z.object({
  format: z.literal(1),
  from: z.string(),
  into: z.string(),
  disks: z.array(z.object({ diskId: z.string(), fromFile: z.string(), intoFile: z.string() })),
});

/** A merge under way: `from`'s file takes in `into`'s layer and then its name (merge.ts). */
export type MergeRecord = z.infer<typeof mergeRecord>;

export interface PointSet {
  /** Complete points, oldest first. */
  readonly points: readonly PointManifest[];
  /** Readable manifests, also of orphans. */
  readonly manifests: readonly PointManifest[];
  /** Why other manifests are not complete points, in words. */
  readonly problems: readonly string[];
  readonly merge: MergeRecord | undefined;
}

export const manifestPath = (place: ReplicaPlace, point: Pick<PointManifest, 'sequence' | 'pointId'>) =>
  join(place.points, `${String(point.sequence).padStart(8, '0')}-${point.pointId}.json`);

export const layerPath = (place: ReplicaPlace, file: string) => join(place.folder, file);

/** Writes the manifest; from the return on the point exists. */
export async function writeManifest(place: ReplicaPlace, point: PointManifest): Promise<void> {
  await writeDurably(manifestPath(place, point), manifest.parse(point));
}

export async function removeManifest(place: ReplicaPlace, point: PointManifest): Promise<void> {
  await removeDurably(manifestPath(place, point));
}

export async function readMerge(place: ReplicaPlace): Promise<MergeRecord | undefined> {
  const found = await readJson(place.merge);
  return found === undefined ? undefined : mergeRecord.parse(found);
}

/** Reads all manifests; a damaged one costs the points that stand on it, nothing else. */
export async function readPoints(place: ReplicaPlace): Promise<PointSet> {
  const problems: string[] = [];
  const manifests: PointManifest[] = [];
  for (const name of await namesIn(place.points)) {
    if (name.endsWith(temporarySuffix)) continue;
    try {
      const point = manifest.parse(await readJson(join(place.points, name)));
      if (manifestPath(place, point) === join(place.points, name)) manifests.push(point);
      else problems.push(`${name} holds the manifest of another point`);
    } catch {
      problems.push(`${name} is damaged`);
    }
  }
  manifests.sort((a, b) => a.sequence - b.sequence);
  const merge = await readMerge(place);
  const complete = new Map<string, PointManifest>();
  for (const point of manifests) {
    const problem = await incompleteness(place, point, complete, merge);
    if (problem === undefined) complete.set(point.pointId, point);
    else problems.push(`point ${point.sequence} (${point.pointId}): ${problem}`);
  }
  return { points: [...complete.values()], manifests, problems, merge };
}

async function incompleteness(
  place: ReplicaPlace,
  point: PointManifest,
  complete: ReadonlyMap<string, PointManifest>,
  merge: MergeRecord | undefined,
): Promise<string | undefined> {
  if (point.serverId !== place.serverId) return `belongs to server ${point.serverId}`;
  const merging = merge?.into === point.pointId && merge.from === point.parentPointId;
  if (point.parentPointId !== null && !merging && !complete.has(point.parentPointId)) {
    return `its parent ${point.parentPointId} is not a complete point`;
  }
  for (const { file } of point.disks) {
    if (!(await exists(layerPath(place, file)))) return `${file} is missing`;
  }
  return undefined;
}

/**
 * Files of one disk from the base up to the point, relative to the replica's folder. During a merge the base is the old
 * point's file until it has taken the new one's name.
 */
export async function chainOf(place: ReplicaPlace, set: PointSet, pointId: string, diskId: string): Promise<string[]> {
  const files: string[] = [];
  let at = set.points.find((point) => point.pointId === pointId);
  while (at !== undefined) {
    files.unshift(at.disks.find((entry) => entry.diskId === diskId)!.file);
    const parent = at.parentPointId;
    if (set.merge !== undefined && set.merge.into === at.pointId && set.merge.from === parent) {
      const from = set.merge.disks.find((entry) => entry.diskId === diskId)!.fromFile;
      if (await exists(layerPath(place, from))) files.unshift(from);
      return files;
    }
    at = parent === null ? undefined : set.points.find((point) => point.pointId === parent);
  }
  return files;
}

export async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

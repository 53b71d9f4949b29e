/**
 * Manifests on disk, and which points are complete: a readable manifest, every layer's file there, and an unbroken chain
 * down to a base. A manifest of which one of these is not true is an orphan and is not offered for recovery.
 */
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isMusterError } from '../model/errors';
import { printable } from '../model/names';
import type { PointManifest } from '../model/replica';
import { readDocument, removeDurably, temporarySuffix, writeDurably } from './durable';
import { digestProblem, manifestDigest, manifestDocument, mergeRecord, type MergeRecord } from './manifest-document';
import { givenLayers } from './given';
import { layerPath, type ReplicaPlace } from './place';
import { claimsOf, incompleteness } from './point-check';

export { layerPath } from './place';
export type { MergeRecord } from './manifest-document';

/** What lies in the replica as a point and is not complete. Never offered, never removed by itself. */
export interface Orphan {
  /** Name of the manifest's file. */
  readonly file: string;
  /** null where the manifest cannot be read. */
  readonly point: PointManifest | null;
  /** In words: what was found, and what is needed. */
  readonly because: string;
}

export interface PointSet {
  /** Complete points, oldest first. The order is the number's: clocks go back and forth. */
  readonly points: readonly PointManifest[];
  /** Readable manifests, also of orphans. */
  readonly manifests: readonly PointManifest[];
  readonly orphans: readonly Orphan[];
  /** Why something here is not a complete point, in words. */
  readonly problems: readonly string[];
  readonly merge: MergeRecord | undefined;
  /** Names in layers/ of what is a recovered machine's. */
  readonly given: ReadonlySet<string>;
  /**
   * Whether a name in layers/ is given, or may belong to a point whose manifest (or merge record) cannot be read: such a
   * file is kept, and no new file takes its name. What this version cannot read, a repair or another version may.
   */
  mayBeNeeded(layer: string): boolean;
  /** A number above all that are in use, also by what cannot be read. */
  readonly nextSequence: number;
}

export const manifestPath = (place: ReplicaPlace, point: Pick<PointManifest, 'sequence' | 'pointId'>) =>
  join(place.points, `${String(point.sequence).padStart(8, '0')}-${point.pointId}.json`);

/** Writes the manifest; from the return on the point exists. */
export async function writeManifest(place: ReplicaPlace, point: PointManifest): Promise<void> {
  const document = manifestDocument.parse(point);
  await writeDurably(manifestPath(place, point), { ...document, digest: manifestDigest(document) });
}

export async function removeManifest(place: ReplicaPlace, point: PointManifest): Promise<void> {
  await removeDurably(manifestPath(place, point));
}

export async function readMerge(place: ReplicaPlace): Promise<MergeRecord | undefined> {
  return readDocument(place.merge, mergeRecord);
}

/**
 * Reads all manifests; a damaged one costs the points that stand on it, nothing else. Who looks without the replica's lease may
 * look while a merge goes on, and then find a chain without its lowest point: what is wrong counts when it is found twice.
 */
export async function readPoints(place: ReplicaPlace): Promise<PointSet> {
  for (let before: string | null = null; ;) {
    const set = await readOnce(place);
    const wrong = set.problems.join('\n');
    if (wrong === '' || wrong === before) return set;
    before = wrong;
  }
}

async function readOnce(place: ReplicaPlace): Promise<PointSet> {
  const orphans: Orphan[] = [];
  const problems: string[] = [];
  const names = (await namesIn(place.points)).filter((name) => !name.endsWith(temporarySuffix));
  const manifests = await readManifests(place, names, orphans);
  const told = <T>(otherwise: T) => {
    return (error: unknown): T => {
      problems.push(wordsOf(error));
      return otherwise;
    };
  };
  const merge = await readMerge(place).catch(told(undefined));
  const given = await givenLayers(place).catch(told(new Set<string>()));
  const complete = new Map<string, PointManifest>();
  const claims = claimsOf(manifests);
  for (const point of manifests) {
    const because = await incompleteness(place, point, { complete, claims, merge });
    if (because === undefined) complete.set(point.pointId, point);
    else orphans.push({ file: basename(manifestPath(place, point)), point, because });
  }
  const damaged = new Set(orphans.filter(({ point }) => point === null).map(({ file }) => numberOf(file)));
  // Without its record a merge cannot be told from leftovers; without a number a file may be any point's.
  const anyLayer = problems.length > 0 || damaged.has(undefined);
  return {
    points: [...complete.values()],
    manifests,
    orphans,
    problems: [...problems, ...orphans.map(describeOrphan)],
    merge,
    given,
    mayBeNeeded: (layer) => anyLayer || given.has(layer) || damaged.has(numberOf(layer)),
    nextSequence: await numberAbove(place, [...names, ...given], anyLayer),
  };
}

async function readManifests(place: ReplicaPlace, names: readonly string[], orphans: Orphan[]) {
  const manifests: PointManifest[] = [];
  for (const name of names) {
    try {
      const point = await readDocument(join(place.points, name), manifestDocument, { problemOf: digestProblem });
      if (point === undefined) continue; // gone since: a merge has removed it
      if (manifestPath(place, point) === join(place.points, name)) manifests.push(point as PointManifest);
      else orphans.push({ file: name, point: null, because: `holds the manifest of point ${point.sequence}` });
    } catch (error) {
      orphans.push({ file: name, point: null, because: `is damaged: ${wordsOf(error)}` });
    }
  }
  return manifests.sort((a, b) => a.sequence - b.sequence);
}

const describeOrphan = ({ file, point, because }: Orphan): string =>
  point === null ? `${printable(file)} ${because}` : `point ${point.sequence} (${point.pointId}): ${because}`;

function wordsOf(error: unknown): string {
  if (!isMusterError(error)) throw error;
  return error.message;
}

/** `00000012-…` is of point 12; undefined for a name that says nothing. */
function numberOf(name: string): number | undefined {
  const digits = /^(\d{8,15})-/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Also above what a layer that is kept bears, so that no cycle writes over it. */
async function numberAbove(place: ReplicaPlace, names: readonly string[], withLayers: boolean): Promise<number> {
  const all = withLayers ? [...names, ...(await namesIn(place.layers))] : names;
  return Math.max(0, ...all.map((name) => numberOf(name) ?? 0)) + 1;
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

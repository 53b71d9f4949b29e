/**
 * Whether a point can be used, judged from its manifest and its layers' first bytes: every layer is there, whole, of the
 * right size, and stands on its parent's layer and on nothing else. Digests are another matter (examine.ts): they cost
 * the reading of every byte.
 */
import { basename } from 'node:path';
import { printable } from '../model/names';
import type { PointDisk, PointManifest } from '../model/replica';
import { isFault, readLayerHeader } from './layer-header';
import type { MergeRecord } from './manifest-document';
import { layerPath, type ReplicaPlace } from './place';

export interface PointSurroundings {
  /** Points already found complete, by id. */
  readonly complete: ReadonlyMap<string, PointManifest>;
  readonly claims: Claims;
  readonly merge: MergeRecord | undefined;
}

/** Who claims what only one point can have: its number, its id, a layer. */
export type Claims = ReadonlyMap<string, readonly PointManifest[]>;

export function claimsOf(manifests: readonly PointManifest[]): Claims {
  const claims = new Map<string, PointManifest[]>();
  for (const point of manifests) {
    for (const what of claimedBy(point)) claims.set(what, [...(claims.get(what) ?? []), point]);
  }
  return claims;
}

const claimedBy = (point: PointManifest): string[] => [
  `number ${point.sequence}`,
  `id ${point.pointId}`,
  ...point.disks.map((disk) => `layer ${disk.file}`),
];

/** Why the point is not complete, in words; undefined: it is. */
export async function incompleteness(
  place: ReplicaPlace,
  point: PointManifest,
  around: PointSurroundings,
): Promise<string | undefined> {
  if (point.serverId !== place.serverId) return `belongs to server ${point.serverId}`;
  const rivalry = rivalryOf(point, around.claims);
  if (rivalry !== undefined) return rivalry;
  const merging = around.merge?.into === point.pointId && around.merge.from === point.parentPointId;
  const parent = point.parentPointId === null ? null : around.complete.get(point.parentPointId);
  if (parent === undefined && !merging) return parentProblem(point, around.claims);
  if (merging) {
    const problem = await mergeProblem(place, point, around.merge!);
    if (problem !== undefined) return problem;
  }
  for (const disk of point.disks) {
    const below = beneath(disk, parent ?? null, merging ? around.merge : undefined);
    if (below === undefined) return `its parent has no disk ${disk.diskId}`;
    const problem = await layerProblem(place, disk, below, merging);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Two manifests with one place in the order, one id or one layer: nobody can say which is true, so neither is. */
function rivalryOf(point: PointManifest, claims: Claims): string | undefined {
  for (const what of claimedBy(point)) {
    const rival = claims.get(what)?.find((other) => other !== point);
    if (rival !== undefined) return `point ${rival.sequence} (${rival.pointId}) claims the same ${what}`;
  }
  return undefined;
}

function parentProblem(point: PointManifest, claims: Claims): string {
  const parent = claims.get(`id ${point.parentPointId}`)?.[0];
  if (parent !== undefined && parent.sequence >= point.sequence) {
    return `its parent ${parent.pointId} comes after it (number ${parent.sequence})`;
  }
  return `its parent ${point.parentPointId} is not a complete point`;
}

/** The base that takes the point's layers in has no manifest any more: its headers are judged here. */
async function mergeProblem(
  place: ReplicaPlace,
  point: PointManifest,
  merge: MergeRecord,
): Promise<string | undefined> {
  for (const { diskId } of point.disks) {
    const merged = merge.disks.find((one) => one.diskId === diskId);
    if (merged === undefined) return `merge.json does not name its disk ${diskId}`;
    const header = await readLayerHeader(layerPath(place, merged.fromFile));
    if (isFault(header)) {
      if (header.found === 'missing') continue; // it has taken the layer's name already
      return `${merged.fromFile} (${diskId}) is no layer: found ${header.found}, needed ${header.needed}`;
    }
    if (header.backing !== null) return strayName(merged.fromFile, diskId, header.backing, null);
  }
  return undefined;
}

/** Names that the layer's header may have beneath it; null for none. undefined: the parent lacks the disk. */
function beneath(
  disk: PointDisk,
  parent: PointManifest | null,
  merge: MergeRecord | undefined,
): readonly (string | null)[] | undefined {
  // Before the merge's rename the layer stands on the old base, after it the base bears the layer's name.
  const merged = merge?.disks.find((one) => one.diskId === disk.diskId);
  if (merged !== undefined) return [basename(merged.fromFile), null];
  if (parent === null) return [null];
  const below = parent.disks.find((one) => one.diskId === disk.diskId);
  return below === undefined ? undefined : [basename(below.file)];
}

async function layerProblem(
  place: ReplicaPlace,
  disk: PointDisk,
  below: readonly (string | null)[],
  merging: boolean,
): Promise<string | undefined> {
  const { file, diskId } = disk;
  const header = await readLayerHeader(layerPath(place, file));
  if (isFault(header)) {
    if (header.found === 'missing') return `${file} is missing`;
    return `${file} (${diskId}) is no layer: found ${header.found}, needed ${header.needed}`;
  }
  const wrong = (what: string, found: string | number, needed: string | number): string =>
    `${file} (${diskId}) has another ${what} than its manifest says: found ${found}, needed ${needed}`;
  if (header.virtualSizeBytes !== disk.virtualSizeBytes) {
    return wrong('disk size', `${header.virtualSizeBytes} bytes`, `${disk.virtualSizeBytes} bytes`);
  }
  if (!merging && disk.fileBytes !== undefined && header.fileBytes !== disk.fileBytes) {
    return wrong('length', `${header.fileBytes} bytes`, `${disk.fileBytes} bytes`);
  }
  return below.includes(header.backing) ? undefined : strayName(file, diskId, header.backing, below[0]!);
}

function strayName(file: string, diskId: string, found: string | null, needed: string | null): string {
  const words = (name: string | null): string => (name === null ? 'nothing' : `"${printable(name).slice(0, 200)}"`);
  return `${file} (${diskId}) names ${words(found)} beneath it, needed ${words(needed)}; it is not followed`;
}

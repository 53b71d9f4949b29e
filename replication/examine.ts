/**
 * Reads the layers of a point's chain, every byte, and compares them with the digests in their manifests: the only way
 * to notice a flipped bit or a base that was swapped with another disk's. Costs the reading of the chain (openssl:
 * 1.4 GB/s from memory here, else what the storage gives), so the caller says how much may be read.
 *
 * Called while a run holds the replica: no merge changes a layer meanwhile.
 */
import { stat } from 'node:fs/promises';
import type { CallOptions } from '../platforms/contract';
import type { PointId, PointManifest } from '../model/replica';
import type { Examination, LayerDamage } from './contract';
import { fileDigest } from './layers';
import { chainOf, layerPath, readPoints, type PointSet } from './manifests';
import type { ReplicaPlace } from './place';
import { bytesDone } from './progress';

interface Layer {
  readonly point: PointManifest;
  readonly diskId: string;
  readonly file: string;
  readonly sha256: string;
  readonly fileBytes: number;
}

export interface ExamineOptions extends CallOptions {
  /** Most that may be read; null: all. A longer chain is not read at all. */
  readonly limitBytes: number | null;
}

export async function examinePoint(
  place: ReplicaPlace,
  pointId: PointId,
  options: ExamineOptions,
): Promise<Examination> {
  const set = await readPoints(place);
  const layers = await layersOf(place, set, pointId);
  const totalBytes = layers.reduce((sum, layer) => sum + layer.fileBytes, 0);
  if (options.limitBytes !== null && totalBytes > options.limitBytes) {
    return { totalBytes, readBytes: 0, damage: [], standing: null };
  }
  const damage: LayerDamage[] = [];
  let readBytes = 0;
  for (const { point, diskId, file, sha256, fileBytes } of layers) {
    options.signal?.throwIfAborted();
    options.onProgress?.(bytesDone(`checking ${file.slice('layers/'.length)}`, readBytes, totalBytes));
    const found = await fileDigest(layerPath(place, file), options);
    if (found !== sha256) damage.push({ diskId, file, pointId: point.pointId, found, needed: sha256 });
    readBytes += fileBytes;
  }
  const bad = new Set(damage.map((one) => one.pointId));
  const standing = set.points.findLast((point) => !pathTo(set, point.pointId).some((id) => bad.has(id)));
  return { totalBytes, readBytes, damage, standing: standing?.pointId ?? null };
}

/** Base first. The file that a merge is writing into has no digest until the merge has ended. */
async function layersOf(place: ReplicaPlace, set: PointSet, pointId: PointId): Promise<Layer[]> {
  const chain = pathTo(set, pointId).map((id) => set.points.find((point) => point.pointId === id)!);
  const layers: Layer[] = [];
  for (const point of chain) {
    for (const { diskId, file, sha256 } of point.disks) {
      const lowest = (await chainOf(place, set, point.pointId, diskId))[0];
      if (set.merge?.into === point.pointId && lowest === file) continue;
      layers.push({ point, diskId, file, sha256, fileBytes: (await stat(layerPath(place, file))).size });
    }
  }
  return layers;
}

/** Ids of the points from the base up to this one. */
function pathTo(set: PointSet, pointId: PointId): PointId[] {
  const path: PointId[] = [];
  let at = set.points.find((point) => point.pointId === pointId);
  while (at !== undefined) {
    path.unshift(at.pointId);
    const parent = at.parentPointId;
    at = parent === null ? undefined : set.points.find((point) => point.pointId === parent);
  }
  return path;
}

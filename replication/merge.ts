/**
 * Making the oldest point go, without ever changing bytes that a manifest claims:
 *
 *   base(P0) <- layer(P1) <- layer(P2) …
 *   1 merge.json says so; P0's manifest is removed: P0 is no point any more, P1 is base + layer as before
 *   2 the target server commits layer(P1) into base, live. P1 and above do not notice: layer(P1) covers what changes
 *   3 base takes layer(P1)'s file name in one rename; P2's header names that file, so P2's bytes and digest stay as they are
 *   4 P1's manifest is written anew (no parent, new digest), merge.json removed
 *
 * A crash between any two is finished by the next cycle: the commit may be repeated, the rename shows whether it was done.
 */
import { rename, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { CallOptions } from '../platforms/contract';
import type { PointId, PointManifest } from '../model/replica';
import { removeDurably, syncPath, writeDurably } from './durable';
import { fileDigest, storedBytes } from './layers';
import { bytesDone } from './progress';
import { chainOf, exists, layerPath, readPoints, removeManifest, writeManifest, type MergeRecord } from './manifests';
import { planMerge } from './merge-plan';
import type { ReplicaPlace } from './place';
import { QmpError } from './qmp';
import { cancelJobs, closeNodes, finishJob, nodeName, openChain } from './target-graph';
import { stopTargetServer, withTargetServer } from './target-server';

/** Starts at most one merge and finishes it; returns the point that is no more. Nothing in excess: null. */
export async function mergeOldest(
  place: ReplicaPlace,
  keepPoints: number,
  options: CallOptions = {},
): Promise<PointId | null> {
  const plan = planMerge((await readPoints(place)).points, keepPoints);
  if (plan === null) return null;
  if (plan.kind === 'discard') {
    for (const point of [...plan.points].reverse()) await removeManifest(place, point);
    return plan.points[0]!.pointId;
  }
  await writeDurably(place.merge, recordOf(plan.from, plan.into));
  await finishMerge(place, options);
  return plan.from.pointId;
}

function recordOf(from: PointManifest, into: PointManifest): MergeRecord {
  return {
    format: 1,
    from: from.pointId,
    into: into.pointId,
    disks: into.disks.map(({ diskId, file }) => ({
      diskId,
      fromFile: from.disks.find((disk) => disk.diskId === diskId)!.file,
      intoFile: file,
    })),
  };
}

/** Continues a merge that was begun, by whomever. None begun: already so. */
export async function finishMerge(place: ReplicaPlace, options: CallOptions = {}): Promise<void> {
  const set = await readPoints(place);
  const { merge } = set;
  if (merge === undefined) return;
  const from = set.manifests.find((point) => point.pointId === merge.from);
  if (from !== undefined) await removeManifest(place, from);
  for (const disk of merge.disks) {
    options.signal?.throwIfAborted();
    if (await exists(layerPath(place, disk.fromFile))) await absorb(place, disk, options);
  }
  const into = set.manifests.find((point) => point.pointId === merge.into);
  if (into !== undefined) await writeManifest(place, await restated(place, into, options));
  await removeDurably(place.merge);
}

/** One disk: the commit, and the rename that ends it. */
async function absorb(place: ReplicaPlace, disk: MergeRecord['disks'][number], options: CallOptions): Promise<void> {
  const from = layerPath(place, disk.fromFile);
  const into = layerPath(place, disk.intoFile);
  try {
    await commitLive(place, disk, options);
  } catch (error) {
    if (!(error instanceof QmpError)) throw error;
    // What an earlier attempt left open does not fit; a fresh target server opens the chain as it lies on disk.
    await stopTargetServer(place);
    await commitLive(place, disk, options);
  }
  await syncPath(from);
  await rename(from, into);
  await syncPath(place.layers);
}

async function commitLive(
  place: ReplicaPlace,
  disk: MergeRecord['disks'][number],
  options: CallOptions,
): Promise<void> {
  const set = await readPoints(place);
  const top = topOfChain(set.points, set.merge!.into);
  const files = (await chainOf(place, set, top, disk.diskId)).map((file) => layerPath(place, file));
  const [base, layer] = await Promise.all(files.slice(0, 2).map(nodeName));
  await withTargetServer(place, async (qmp) => {
    await cancelJobs(qmp);
    const device = await openChain(qmp, files);
    const id = `merge-${disk.diskId}`;
    await qmp.execute('block-commit', {
      'job-id': id,
      device,
      'top-node': layer,
      'base-node': base,
      // The name that the layer above already has in its header: rewriting it changes no byte there.
      'backing-file': basename(disk.intoFile),
      'auto-dismiss': false,
    });
    await finishJob(qmp, id, {
      signal: options.signal,
      onProgress: (done, total) => options.onProgress?.(bytesDone(`merging ${disk.diskId}`, done, total)),
    });
    await closeNodes(qmp, [layer!]);
  });
}

/** The newest point of the chain that the merged point begins. */
function topOfChain(points: readonly PointManifest[], root: PointId): PointId {
  const inside = new Set([root]);
  let top = root;
  for (const point of points) {
    if (point.parentPointId === null || !inside.has(point.parentPointId)) continue;
    inside.add(point.pointId);
    top = point.pointId;
  }
  return top;
}

async function restated(place: ReplicaPlace, point: PointManifest, options: CallOptions): Promise<PointManifest> {
  const disks = [];
  for (const disk of point.disks) {
    const path = layerPath(place, disk.file);
    disks.push({
      ...disk,
      sha256: await fileDigest(path, options),
      storedBytes: await storedBytes(path),
      fileBytes: (await stat(path)).size,
    });
  }
  return { ...point, parentPointId: null, disks };
}

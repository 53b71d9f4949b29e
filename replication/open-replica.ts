/**
 * Brings the target server to what the disk says: every complete point's chain open read-only, every overlay that a run
 * has not handed over open and exported, nothing else; copies are in copies.ts. Also after kill -9 of the target server or
 * of the worker.
 */
import { exists, chainOf, layerPath, readPoints, type PointSet } from './manifests';
import type { ReplicaPlace } from './place';
import { QmpError, type Qmp } from './qmp';
import { heldDisks, overlayPath, readRuns, takesCopies, type RunRecord } from './run-record';
import {
  addNode,
  cancelJobs,
  endExport,
  exportIds,
  exportNode,
  nodeName,
  openChain,
  openChains,
  openNodes,
} from './target-graph';
import { withTargetServer } from './target-server';

export const exportId = (runId: string, diskId: string) => `run-${runId}-${diskId}`;

export async function openReplica(place: ReplicaPlace): Promise<void> {
  const set = await readPoints(place);
  // Given away for good: the files belong to the recovered machine, and a lock of ours would keep it from starting.
  if (await exists(place.commit)) return;
  // Copies have a target server of their own (copies.ts).
  const runs = (await readRuns(place)).filter((run) => !takesCopies(run));
  const chains = await Promise.all(
    set.points.flatMap((point) => point.disks.map((disk) => wholePaths(place, set, point.pointId, disk.diskId))),
  );
  await withTargetServer(place, async (qmp) => {
    // A merge that lost its worker would hold the base open for writing; the next cycle begins it anew.
    if (set.merge !== undefined) await cancelJobs(qmp);
    const exports = runs.flatMap((run) => heldDisks(run).map((diskId) => exportId(run.runId, diskId)));
    await closeOthers(qmp, await wantedNodes(place, chains, runs), new Set(exports));
    await openChains(qmp, chains);
    for (const run of runs) await openOverlays(qmp, place, set, run);
  });
}

async function wholePaths(place: ReplicaPlace, set: PointSet, pointId: string, diskId: string): Promise<string[]> {
  return (await chainOf(place, set, pointId, diskId)).map((file) => layerPath(place, file));
}

async function openOverlays(qmp: Qmp, place: ReplicaPlace, set: PointSet, run: RunRecord): Promise<void> {
  for (const diskId of heldDisks(run)) {
    const file = overlayPath(place, run.runId, diskId);
    if (!(await exists(file))) continue;
    const node = await nodeName(file);
    if (!(await openNodes(qmp)).includes(node)) {
      const backing = await openChain(qmp, await wholePaths(place, set, run.pointId, diskId));
      await addNode(qmp, { node, file, backing, readOnly: false });
    }
    await exportNode(qmp, exportId(run.runId, diskId), node);
  }
}

async function wantedNodes(
  place: ReplicaPlace,
  chains: readonly (readonly string[])[],
  runs: readonly RunRecord[],
): Promise<Set<string>> {
  const overlays = runs.flatMap((run) => heldDisks(run).map((diskId) => overlayPath(place, run.runId, diskId)));
  const files = [...chains.flat(), ...overlays];
  const names = await Promise.all(files.map(async (file) => ((await exists(file)) ? nodeName(file) : undefined)));
  return new Set(names.filter((name) => name !== undefined));
}

/** Ends every export and closes every file that is not wanted. */
export async function closeOthers(qmp: Qmp, wanted: ReadonlySet<string>, exported: ReadonlySet<string>): Promise<void> {
  for (const id of await exportIds(qmp)) if (!exported.has(id)) await endExport(qmp, id);
  let others = (await openNodes(qmp)).filter((node) => /^n\d+$/.test(node) && !wanted.has(node));
  // A node cannot be closed before those that stand on it, so every round closes what it can.
  for (let left = others.length + 1; others.length > 0 && others.length < left;) {
    left = others.length;
    const refused: string[] = [];
    for (const node of others) {
      await qmp.execute('blockdev-del', { 'node-name': node }).catch((error: unknown) => {
        if (!(error instanceof QmpError)) throw error;
        refused.push(node);
      });
    }
    others = refused;
  }
}

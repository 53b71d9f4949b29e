/**
 * A run's copies: where they are made and held. They have a target server of their own, so that neither a cycle of the
 * session nor a merge has to wait for what the run does with them, and the run does not have to wait for a cycle.
 */
import { createHash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { CallOptions } from '../platforms/contract';
import type { PointId, PointManifest } from '../model/replica';
import { limitsFor } from '../programs/limits';
import { runProgram } from '../programs/run';
import { completePoint } from './complete-point';
import { copyDisk } from './copy';
import { syncPath, temporarySuffix } from './durable';
import { chainOf, exists, layerPath, readPoints } from './manifests';
import { closeOthers, exportId, openReplica } from './open-replica';
import { safeName, type ReplicaPlace } from './place';
import { heldDisks, overlayPath, runFolder, takesCopies, writeRun, type RunRecord } from './run-record';
import { addNode, exportNode, nodeName, openNodes } from './target-graph';
import { stopTargetServer, withTargetServer } from './target-server';

/** The replica as the target server of the run's disks sees it: for copies with a process and sockets of their own. */
export function serverPlace(place: ReplicaPlace, run: Pick<RunRecord, 'runId' | 'option'>): ReplicaPlace {
  return takesCopies(run) ? copiesPlace(place, run.runId) : place;
}

export function copiesPlace(place: ReplicaPlace, runId: string): ReplicaPlace {
  const own = createHash('sha256').update(runFolder(place, runId)).digest('hex').slice(0, 16);
  const socketFolder = join(dirname(place.socketFolder), own);
  return {
    ...place,
    pidFile: join(dirname(place.pidFile), `run-${safeName(runId, 'run id')}`),
    socketFolder,
    qmpSocket: join(socketFolder, 'qmp.sock'),
    nbdSocket: join(socketFolder, 'nbd.sock'),
  };
}

/** Brings the target server that has the run's disks to what the record says. */
export async function openDisks(place: ReplicaPlace, run: RunRecord): Promise<void> {
  if (!takesCopies(run)) return openReplica(place);
  const own = copiesPlace(place, run.runId);
  const held = heldDisks(run);
  if (held.length === 0) return stopTargetServer(own);
  const files = held.map((diskId) => overlayPath(place, run.runId, diskId));
  const nodes = await Promise.all(files.map(nodeName));
  const exports = held.map((diskId) => exportId(run.runId, diskId));
  await withTargetServer(own, async (qmp) => {
    // The points that were copied are let go of as well: a merge has to open them for writing.
    await closeOthers(qmp, new Set(nodes), new Set(exports));
    const open = await openNodes(qmp);
    for (const [at, node] of nodes.entries()) {
      if (!open.includes(node)) await addNode(qmp, { node, file: files[at]!, backing: null, readOnly: false });
      await exportNode(qmp, exports[at]!, node);
    }
  });
}

/** Makes every copy that is not whole; what an earlier attempt copied is kept. */
export async function makeCopies(
  place: ReplicaPlace,
  record: RunRecord,
  point: PointManifest,
  options: CallOptions = {},
): Promise<void> {
  await forgetIfRestarted(place, record);
  // Also ends a merge that lost its worker: it would have the base open for writing.
  await openReplica(place);
  const set = await readPoints(place);
  for (const { diskId, virtualSizeBytes } of record.disks) {
    const chain = (await chainOf(place, set, point.pointId, diskId)).map((file) => layerPath(place, file));
    const path = overlayPath(place, record.runId, diskId);
    await copyDisk(copiesPlace(place, record.runId), { diskId, chain, virtualSizeBytes, path }, options);
  }
}

/**
 * After a crash of the host the map of an unfinished copy may tell of clusters whose bytes never reached the disk: such a
 * copy is begun anew. A killed program does no such harm.
 */
async function forgetIfRestarted(place: ReplicaPlace, record: RunRecord): Promise<void> {
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  if (record.bootId === bootId) return;
  for (const { diskId } of record.disks) {
    const partial = overlayPath(place, record.runId, diskId) + temporarySuffix;
    if (await exists(partial)) await rm(partial);
  }
  await syncPath(runFolder(place, record.runId));
  await writeRun(place, { ...record, bootId });
}

/** From metadata alone: what a copy of every disk needs, its own metadata included. */
export async function copySizeOf(place: ReplicaPlace, pointId: PointId, options: CallOptions = {}): Promise<number> {
  const point = await completePoint(place, pointId);
  const sizes = point.disks.map(async ({ file }) => {
    const measure = ['measure', '-U', '-O', 'qcow2', '--output=json', '-f', 'qcow2', layerPath(place, file)];
    const how = { timeoutMs: 600_000, signal: options.signal, limits: limitsFor.chain };
    const { stdout } = await runProgram('qemu-img', measure, how);
    return (JSON.parse(stdout) as { required: number }).required;
  });
  return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0);
}

/** Ends the copies' target server and with it copying that is under way. Not there: already so. */
export async function closeCopies(place: ReplicaPlace, runId: string): Promise<void> {
  const own = copiesPlace(place, runId);
  await stopTargetServer(own);
  await rm(own.socketFolder, { recursive: true, force: true });
}

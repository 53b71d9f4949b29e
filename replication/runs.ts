/** What a run takes from a replica: overlays on a point, handed over disk by disk, and all of it undone. */
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallOptions } from '../platforms/contract';
import { OperatorError } from '../model/errors';
import type { PointId, PointManifest, RecoveryOption, TakenDisk } from '../model/replica';
import type { DiskId, ServerSpec } from '../model/server';
import { syncPath, temporarySuffix } from './durable';
import { assertNotHeldByAnother } from './hold';
import { createOverlay } from './layers';
import { holdersOf, isLocked } from './locks';
import { exists, layerPath, namesIn, readPoints } from './manifests';
import { exportId, openReplica } from './open-replica';
import type { ReplicaPlace } from './place';
import { markDisk, overlayPath, readRun, runFolder, runWithDisk, writeRun, type RunRecord } from './run-record';
import { closeNodes, endExport, nodeName } from './target-graph';
import { stopTargetServer, targetPid, withTargetServer } from './target-server';

export interface TakeRequest {
  readonly server: ServerSpec;
  readonly point: PointId;
  readonly option: RecoveryOption;
  readonly runId: string;
}

export async function takeDisks(
  place: ReplicaPlace,
  { server, point: pointId, option, runId }: TakeRequest,
  options: CallOptions = {},
): Promise<TakenDisk[]> {
  await assertNotHeldByAnother(place, runId);
  const point = await completePoint(place, pointId);
  const before = await readRun(place, runId);
  if (before !== undefined && before.pointId !== pointId) await dropOverlays(place, runId, options);
  const record = before?.pointId === pointId ? before : newRecord(server, point, option, runId);
  const folder = runFolder(place, runId);
  await mkdir(folder, { recursive: true, mode: 0o711 });
  await writeRun(place, record);
  for (const disk of point.disks) await createOnce(place, runId, disk, options);
  await syncPath(folder);
  await openReplica(place);
  return record.disks.map((disk) => describe(place, record, disk.diskId, point));
}

function newRecord(server: ServerSpec, point: PointManifest, option: RecoveryOption, runId: string): RunRecord {
  const disks = point.disks.map((disk, position) => ({
    diskId: disk.diskId,
    index: server.disks.find((spec) => spec.id === disk.diskId)?.index ?? position,
    virtualSizeBytes: disk.virtualSizeBytes,
    state: 'held' as const,
  }));
  disks.sort((a, b) => a.index - b.index);
  return { format: 1, runId, pointId: point.pointId, option, disks };
}

async function createOnce(
  place: ReplicaPlace,
  runId: string,
  disk: { diskId: string; file: string },
  options: CallOptions,
): Promise<void> {
  const path = overlayPath(place, runId, disk.diskId);
  if (await exists(path)) return;
  await createOverlay(path + temporarySuffix, layerPath(place, disk.file), options);
  await syncPath(path + temporarySuffix);
  await rename(path + temporarySuffix, path);
}

async function completePoint(place: ReplicaPlace, pointId: PointId): Promise<PointManifest> {
  const { points, problems } = await readPoints(place);
  const point = points.find((candidate) => candidate.pointId === pointId);
  if (point !== undefined) return point;
  const newest = points.at(-1);
  throw new OperatorError({
    what: `recovery point ${pointId} of server ${place.serverId} is not there or not complete`,
    found:
      newest === undefined
        ? 'no complete point'
        : `${points.length} points, the newest ${newest.pointId} of ${newest.takenAt}`,
    needed: 'a complete point',
    remedy: 'Provide another point (`provide point=latest`).',
    detail: problems.join('\n'),
  });
}

function describe(place: ReplicaPlace, record: RunRecord, diskId: DiskId, point: PointManifest): TakenDisk {
  const disk = record.disks.find((entry) => entry.diskId === diskId)!;
  const path = overlayPath(place, record.runId, diskId);
  const nbd = `nbd+unix:///${exportId(record.runId, diskId)}?socket=${place.nbdSocket}`;
  return {
    diskId,
    index: disk.index,
    pointId: record.pointId,
    virtualSizeBytes: disk.virtualSizeBytes,
    path,
    format: 'qcow2',
    editUri: disk.state === 'held' ? nbd : `file:${path}`,
    signatures: point.disks.find((entry) => entry.diskId === diskId)!.signatures,
  };
}

/** Undo of take. @throws OperatorError when a machine still has an overlay open. */
export async function dropOverlays(place: ReplicaPlace, runId: string, options: CallOptions = {}): Promise<void> {
  const folder = runFolder(place, runId);
  if (!(await exists(folder))) return;
  const diskIds = (await namesIn(folder)).filter((name) => name.endsWith('.qcow2')).map((name) => name.slice(0, -6));
  for (const diskId of diskIds) {
    await closeOverlay(place, runId, diskId);
    await assertFree(overlayPath(place, runId, diskId), options);
  }
  await rm(join(folder, 'run.json'), { force: true });
  await rm(folder, { recursive: true, force: true });
  await syncPath(place.runs);
}

/** The target server lets go of the overlay; recorded first, so that a restart in between does not open it again. */
export async function handOverDisk(place: ReplicaPlace, runId: string, diskId: DiskId): Promise<TakenDisk> {
  const record = await runWithDisk(place, runId, diskId);
  await markDisk(place, record, diskId, 'handed-over');
  await closeOverlay(place, runId, diskId);
  return takenDisk(place, runId, diskId);
}

export async function takeBackDisk(
  place: ReplicaPlace,
  runId: string,
  diskId: DiskId,
  options: CallOptions = {},
): Promise<TakenDisk> {
  const record = await runWithDisk(place, runId, diskId);
  if (record.disks.find((disk) => disk.diskId === diskId)!.state === 'handed-over') {
    await assertFree(overlayPath(place, runId, diskId), options);
    await markDisk(place, record, diskId, 'held');
  }
  await openReplica(place);
  return takenDisk(place, runId, diskId);
}

/** @throws OperatorError when somebody other than the target server has the overlay open. */
export async function releaseDisk(
  place: ReplicaPlace,
  runId: string,
  diskId: DiskId,
  options: CallOptions = {},
): Promise<{ restarted: boolean }> {
  await runWithDisk(place, runId, diskId);
  const path = overlayPath(place, runId, diskId);
  if (!(await isLocked(path, options))) return { restarted: false };
  const target = await targetPid(place);
  const ours = target !== undefined && (await holdersOf(path)).some((holder) => holder.pid === target);
  if (ours) {
    await stopTargetServer(place);
    await openReplica(place);
  }
  await assertFree(path, options);
  return { restarted: ours };
}

async function takenDisk(place: ReplicaPlace, runId: string, diskId: DiskId): Promise<TakenDisk> {
  const record = await runWithDisk(place, runId, diskId);
  return describe(place, record, diskId, await completePoint(place, record.pointId));
}

async function closeOverlay(place: ReplicaPlace, runId: string, diskId: DiskId): Promise<void> {
  const path = overlayPath(place, runId, diskId);
  // No target server, no lock of its own; and none is started only to be told to let go.
  if ((await targetPid(place)) === undefined || !(await exists(path))) return;
  await withTargetServer(place, async (qmp) => {
    await endExport(qmp, exportId(runId, diskId));
    await closeNodes(qmp, [await nodeName(path)]);
  });
}

async function assertFree(path: string, options: CallOptions): Promise<void> {
  if (!(await isLocked(path, options))) return;
  const holders = await holdersOf(path);
  throw new OperatorError({
    what: `${path} is open elsewhere`,
    found: holders.map(({ pid, program }) => `${program} (process ${pid})`).join(', ') || 'a lock of an unseen process',
    needed: 'no lock on the disk',
    remedy: 'Power off the machine that uses the disk, or end that process; then retry.',
  });
}

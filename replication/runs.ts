/**
 * What a run takes from a replica: overlays on a point, or copies of it (copies.ts), handed over disk by disk, and all of
 * it undone.
 */
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallOptions } from '../platforms/contract';
import { OperatorError } from '../model/errors';
import type { PointId, PointManifest, RecoveryOption, TakenDisk, VolumeSignature } from '../model/replica';
import type { DiskId, ServerSpec } from '../model/server';
import { closeCopies, makeCopies, openDisks, serverPlace } from './copies';
import { syncPath, temporarySuffix } from './durable';
import { assertNotHeldByAnother } from './hold';
import { createOverlay } from './layers';
import { holdersOf, isLocked } from './locks';
import { completePoint } from './complete-point';
import { exists, layerPath, namesIn } from './manifests';
import { exportId } from './open-replica';
import type { ReplicaPlace } from './place';
import {
  heldDisks,
  isWholeCopy,
  markDisk,
  overlayPath,
  readRun,
  runFolder,
  runWithDisk,
  takesCopies,
  writeRun,
  type RunRecord,
} from './run-record';
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
  const before = await readRun(place, runId);
  // Copies that are whole outlive their point, which may be merged away by now.
  if (before?.pointId === pointId && (await isWholeCopy(place, before))) return openTaken(place, before);
  const point = await completePoint(place, pointId);
  if (before !== undefined && before.pointId !== pointId) await dropOverlays(place, runId, options);
  const record = before?.pointId === pointId ? before : newRecord(server, point, option, runId);
  const folder = runFolder(place, runId);
  await mkdir(folder, { recursive: true, mode: 0o711 });
  await writeRun(place, record);
  if (takesCopies(record)) await makeCopies(place, record, point, options);
  else for (const disk of point.disks) await createOnce(place, runId, disk, options);
  await syncPath(folder);
  return openTaken(place, record);
}

async function openTaken(place: ReplicaPlace, record: RunRecord): Promise<TakenDisk[]> {
  await openDisks(place, record);
  return Promise.all(record.disks.map((disk) => describe(place, record, disk.diskId)));
}

function newRecord(server: ServerSpec, point: PointManifest, option: RecoveryOption, runId: string): RunRecord {
  const disks = point.disks.map((disk, position) => ({
    diskId: disk.diskId,
    index: server.disks.find((spec) => spec.id === disk.diskId)?.index ?? position,
    virtualSizeBytes: disk.virtualSizeBytes,
    state: 'held' as const,
    signatures: disk.signatures.map((one) => ({ ...one, pieces: [...one.pieces] })),
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

async function describe(place: ReplicaPlace, record: RunRecord, diskId: DiskId): Promise<TakenDisk> {
  const disk = record.disks.find((entry) => entry.diskId === diskId)!;
  const path = overlayPath(place, record.runId, diskId);
  const nbd = `nbd+unix:///${exportId(record.runId, diskId)}?socket=${serverPlace(place, record).nbdSocket}`;
  return {
    diskId,
    index: disk.index,
    pointId: record.pointId,
    virtualSizeBytes: disk.virtualSizeBytes,
    path,
    format: 'qcow2',
    editUri: disk.state === 'held' ? nbd : `file:${path}`,
    signatures: disk.signatures ?? (await signaturesOf(place, record.pointId, diskId)),
  };
}

async function signaturesOf(place: ReplicaPlace, point: PointId, diskId: DiskId): Promise<readonly VolumeSignature[]> {
  return (await completePoint(place, point)).disks.find((entry) => entry.diskId === diskId)!.signatures;
}

/** Undo of take, also of one that is under way. @throws OperatorError when a machine still has an overlay open. */
export async function dropOverlays(place: ReplicaPlace, runId: string, options: CallOptions = {}): Promise<void> {
  const folder = runFolder(place, runId);
  if (!(await exists(folder))) return;
  await closeCopies(place, runId);
  const diskIds = (await namesIn(folder)).filter((name) => name.endsWith('.qcow2')).map((name) => name.slice(0, -6));
  for (const diskId of diskIds) {
    await closeDisk(place, place, runId, diskId);
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
  await closeDisk(place, serverPlace(place, record), runId, diskId);
  const now = await runWithDisk(place, runId, diskId);
  // A target server of copies that has none left to hold has nothing left to do.
  if (takesCopies(now) && heldDisks(now).length === 0) await openDisks(place, now);
  return describe(place, now, diskId);
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
  const now = await runWithDisk(place, runId, diskId);
  await openDisks(place, now);
  return describe(place, now, diskId);
}

/** @throws OperatorError when somebody other than the target server has the overlay open. */
export async function releaseDisk(
  place: ReplicaPlace,
  runId: string,
  diskId: DiskId,
  options: CallOptions = {},
): Promise<{ restarted: boolean }> {
  const record = await runWithDisk(place, runId, diskId);
  const server = serverPlace(place, record);
  const path = overlayPath(place, runId, diskId);
  if (!(await isLocked(path, options))) return { restarted: false };
  const target = await targetPid(server);
  const ours = target !== undefined && (await holdersOf(path)).some((holder) => holder.pid === target);
  if (ours) {
    await stopTargetServer(server);
    await openDisks(place, record);
  }
  await assertFree(path, options);
  return { restarted: ours };
}

/** `server`: the place whose target server has the disk. */
async function closeDisk(place: ReplicaPlace, server: ReplicaPlace, runId: string, diskId: DiskId): Promise<void> {
  const path = overlayPath(place, runId, diskId);
  // No target server, no lock of its own; and none is started only to be told to let go.
  if ((await targetPid(server)) === undefined || !(await exists(path))) return;
  await withTargetServer(server, async (qmp) => {
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

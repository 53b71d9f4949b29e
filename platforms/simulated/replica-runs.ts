/**
 * What a run takes from a simulated replica: overlays or copies, and their way to the new machine and back. Here both are
 * whole files; what differs is where they lie, and what may happen to the replica under them.
 */
import { copyFile, mkdir, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { OperatorError } from '../../model/errors';
import type { PointId, RecoveryOption, TakenDisk } from '../../model/replica';
import type { DiskId, ServerId, ServerSpec } from '../../model/server';
import type { CallOptions } from '../contract';
import { requireSpace } from './capacity';
import { dropHold, holdDisk, holderOf, inUse, type Holder } from './holds';
import {
  changeReplica,
  completePoints,
  noReplica,
  readReplica,
  recoveredFile,
  recoveredFolder,
  replicaFolder,
  runFolder,
  takesCopies,
  type ReplicaRecord,
  type TakenRun,
} from './replica-files';
import { exists, pause, reach, readSettings, type Site } from './site';

type KeptDisk = TakenRun['disks'][number];

export async function take(
  site: Site,
  server: ServerSpec,
  point: PointId,
  option: RecoveryOption,
  runId: string,
  options: CallOptions = {},
): Promise<TakenDisk[]> {
  await reach(site, options);
  if (option === 'copy-and-recover') await spendCopying(site, server, runId, options);
  const record = await changeReplica(
    site,
    server.id,
    async (now) => {
      if (!now) throw noReplica(site, server.id);
      const there = now.runs[runId];
      if (there?.pointId === point) return null;
      if (there) throw otherPoint(now, runId, there.pointId, point);
      const disks = await makeOverlays(site, server, point, { runId, option });
      const runs = { ...now.runs, [runId]: { pointId: point, option, disks } };
      return { what: 'take', runId, next: { ...now, runs } };
    },
    options.signal,
  );
  return record!.runs[runId]!.disks.map(asTaken);
}

/** Copying takes time, outside the replica's lock: who dies meanwhile has changed nothing that is recorded. */
async function spendCopying(site: Site, server: ServerSpec, runId: string, options: CallOptions): Promise<void> {
  if ((await readReplica(site, server.id))?.runs[runId]) return;
  const { copyMs } = await readSettings(site);
  const total = server.disks.reduce((sum, disk) => sum + disk.sizeBytes, 0);
  const tell = (done: number) =>
    options.onProgress?.({ label: 'copying', done, total, unit: 'bytes', ratePerSecond: null, timeLeftMs: null });
  tell(0);
  await pause(copyMs, options.signal);
  tell(total);
}

/** What the files of the point hold. */
export async function copySizeBytes(site: Site, serverId: ServerId, point: PointId, options: CallOptions = {}) {
  await reach(site, options);
  const manifest = (await completePoints(site, serverId)).find((candidate) => candidate.pointId === point);
  if (!manifest) throw noSuchPoint(serverId, point);
  return manifest.disks.reduce((sum, disk) => sum + disk.storedBytes, 0);
}

async function makeOverlays(
  site: Site,
  server: ServerSpec,
  point: PointId,
  { runId, option }: { runId: string; option: RecoveryOption },
): Promise<KeptDisk[]> {
  const manifest = (await completePoints(site, server.id)).find((candidate) => candidate.pointId === point);
  if (!manifest) throw noSuchPoint(server.name, point);
  await requireSpace(
    site,
    manifest.disks.reduce((sum, disk) => sum + disk.virtualSizeBytes, 0),
  );
  const folder = disksFolder(site, server.id, { runId, option });
  await mkdir(folder, { recursive: true });
  const disks: KeptDisk[] = [];
  for (const [index, disk] of manifest.disks.entries()) {
    const path = join(folder, `${disk.diskId}.raw`);
    await copyFile(join(replicaFolder(site, server.id), disk.file), `${path}.new`);
    await rename(`${path}.new`, path);
    await holdDisk(path, targetServer(server.id));
    disks.push({
      diskId: disk.diskId,
      index: server.disks.find((spec) => spec.id === disk.diskId)?.index ?? index,
      pointId: point,
      virtualSizeBytes: disk.virtualSizeBytes,
      path,
      format: 'raw',
      editUri: `file:${path}`,
      signatures: disk.signatures,
      handedOver: false,
    });
  }
  return disks;
}

/** Copies belong to the machine that gets them and stay when the replica goes. */
function disksFolder(site: Site, serverId: ServerId, run: { runId: string; option: RecoveryOption }): string {
  if (!takesCopies(run)) return runFolder(site, serverId, run.runId);
  return dirname(recoveredFile(site, serverId, run.runId, 'any'));
}

export async function drop(site: Site, serverId: ServerId, runId: string, options: CallOptions = {}): Promise<void> {
  await reach(site, options);
  await changeReplica(
    site,
    serverId,
    async (record) => {
      const run = record?.runs[runId];
      if (!record || !run) return null;
      for (const disk of run.disks) {
        const holder = await holderOf(disk.path);
        if (holder && holder !== targetServer(serverId)) throw inUse(disk.path, holder);
      }
      for (const disk of run.disks) await dropHold(disk.path, targetServer(serverId));
      await rm(disksFolder(site, serverId, { ...run, runId }), { recursive: true, force: true });
      if (takesCopies(run)) await removeIfEmpty(recoveredFolder(site, serverId));
      return { what: 'drop', runId, next: { ...record, runs: without(record.runs, runId) } };
    },
    options.signal,
  );
}

/** An empty folder would say that a machine has the replica for good. */
async function removeIfEmpty(folder: string): Promise<void> {
  await rmdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'ENOENT') throw error;
  });
}

export async function handOver(site: Site, serverId: ServerId, runId: string, diskId: DiskId, options?: CallOptions) {
  return changeDisk(site, serverId, runId, diskId, options, async (disk) => {
    if (disk.handedOver) return null;
    const stubborn = await exists(join(site.folder, 'stubborn-target-server'));
    if (!stubborn) await dropHold(disk.path, targetServer(serverId));
    return { what: 'hand-over', next: { ...disk, handedOver: true } };
  });
}

export async function takeBack(site: Site, serverId: ServerId, runId: string, diskId: DiskId, options?: CallOptions) {
  return changeDisk(site, serverId, runId, diskId, options, async (disk) => {
    if (!disk.handedOver) return null;
    await holdDisk(disk.path, targetServer(serverId));
    return { what: 'take-back', next: { ...disk, handedOver: false } };
  });
}

/** A target server that still has the overlay open after the hand-over is restarted; anybody else is named. */
export async function release(
  site: Site,
  serverId: ServerId,
  runId: string,
  diskId: DiskId,
  options: CallOptions = {},
): Promise<{ restarted: boolean }> {
  await reach(site, options);
  let restarted = false;
  await changeReplica(
    site,
    serverId,
    async (record) => {
      const disk = requireDisk(site, serverId, record, runId, diskId);
      const holder = await holderOf(disk.path);
      if (!holder) return null;
      if (holder !== targetServer(serverId)) throw inUse(disk.path, holder);
      if (!disk.handedOver) throw inUse(disk.path, `${holder}, which was not told to hand it over`);
      restarted = await dropHold(disk.path, holder);
      const next = { ...record!, targetServerStarts: record!.targetServerStarts + 1 };
      return { what: 'restart-target-server', runId, disk: diskId, next };
    },
    options.signal,
  );
  return { restarted };
}

async function changeDisk(
  site: Site,
  serverId: ServerId,
  runId: string,
  diskId: DiskId,
  options: CallOptions = {},
  decide: (disk: KeptDisk) => Promise<{ what: string; next: KeptDisk } | null>,
): Promise<TakenDisk> {
  await reach(site, options);
  const record = await changeReplica(
    site,
    serverId,
    async (now) => {
      const disk = requireDisk(site, serverId, now, runId, diskId);
      const change = await decide(disk);
      if (!change) return null;
      const run = now!.runs[runId]!;
      const disks = run.disks.map((other) => (other.diskId === diskId ? change.next : other));
      const runs = { ...now!.runs, [runId]: { ...run, disks } };
      return { what: change.what, runId, disk: diskId, next: { ...now!, runs } };
    },
    options.signal,
  );
  return asTaken(requireDisk(site, serverId, record, runId, diskId));
}

function requireDisk(
  site: Site,
  serverId: ServerId,
  record: ReplicaRecord | undefined,
  runId: string,
  diskId: DiskId,
): KeptDisk {
  const disk = record?.runs[runId]?.disks.find((other) => other.diskId === diskId);
  if (!disk) throw nothingTaken(site, serverId, runId);
  return disk;
}

function asTaken({ handedOver: _handedOver, ...disk }: KeptDisk): TakenDisk {
  return disk;
}

export function targetServer(serverId: ServerId): Holder {
  return `target-server:${serverId}`;
}

function without<T>(values: Readonly<Record<string, T>>, key: string): Record<string, T> {
  return Object.fromEntries(Object.entries(values).filter(([other]) => other !== key));
}

function noSuchPoint(server: string, point: PointId): OperatorError {
  return new OperatorError({
    what: `recovery point ${point} of ${server} cannot be taken`,
    found: 'no complete point of that id',
    needed: 'a complete point with an unbroken chain',
    remedy: 'Choose another point (provide point).',
  });
}

function otherPoint(record: ReplicaRecord, runId: string, found: PointId, needed: PointId): OperatorError {
  return new OperatorError({
    what: `run ${runId} cannot take another point of ${record.serverName}`,
    found: `overlays on point ${found}`,
    needed: `point ${needed}`,
    remedy: 'Drop what the run took first.',
  });
}

export function nothingTaken(site: Site, serverId: ServerId, runId: string): OperatorError {
  return new OperatorError({
    what: `run ${runId} has taken no such disk of server ${serverId} at site ${site.id}`,
    needed: 'an overlay that the run took',
    remedy: 'Go back to the step that takes the disks.',
  });
}

/** Where a simulated site keeps a server's replica, and what of it is complete. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isMusterError, OperatorError } from '../../model/errors';
import type { OrphanView, PointManifest, RecoveryOption, SessionState, TakenDisk } from '../../model/replica';
import type { DiskId, ServerId } from '../../model/server';
import { withFileLock } from '../file-lock';
import { readJson, writeJson } from '../json-file';
import { fileSizeBytes } from './disk-bytes';
import { logEffects, missingEffects, newEffect, type SiteEffect } from './effects';
import { fileNameFor, lockName, type Site } from './site';

export interface ReplicaRecord {
  readonly serverId: ServerId;
  readonly serverName: string;
  readonly source: { readonly siteId: string; readonly machineName: string };
  readonly heldBy: string | null;
  readonly holdState: Extract<SessionState, 'frozen' | 'suspended'> | null;
  readonly holdYields?: true;
  /** Rises with every start of the target server. */
  readonly targetServerStarts: number;
  /** The newest point that went into the base: the first point's parent, which no longer stands by itself. */
  readonly mergedThrough: string | null;
  readonly lastError: string | null;
  /** run id -> what the run took. */
  readonly runs: Readonly<Record<string, TakenRun>>;
  /** Effects of the last change whose log lines are not certain yet. */
  readonly outbox: readonly SiteEffect[];
  readonly removed?: boolean;
}

export interface TakenRun {
  readonly pointId: string;
  readonly option: RecoveryOption;
  readonly disks: readonly (TakenDisk & { readonly handedOver: boolean })[];
}

/** Whether the run's disks are copies, which stand by themselves: they are whole when the record names them. */
export const takesCopies = (run: Pick<TakenRun, 'option'>): boolean => run.option === 'copy-and-recover';

/** Runs under which no point may change. */
export function runsOnPoints(record: ReplicaRecord | undefined): string[] {
  return Object.entries(record?.runs ?? {}).flatMap(([runId, run]) => (takesCopies(run) ? [] : [runId]));
}

/** Runs that still need something of the replica: all but those that have handed their copies over. */
export function runsAtWork(record: ReplicaRecord): string[] {
  const isOver = (run: TakenRun) => takesCopies(run) && run.disks.every((disk) => disk.handedOver);
  return Object.entries(record.runs).flatMap(([runId, run]) => (isOver(run) ? [] : [runId]));
}

export function replicaFolder(site: Site, serverId: ServerId): string {
  return join(site.folder, 'replicas', fileNameFor(serverId));
}

export function pointFolder(site: Site, serverId: ServerId, sequence: number): string {
  return join(replicaFolder(site, serverId), 'points', String(sequence).padStart(8, '0'));
}

export function runFolder(site: Site, serverId: ServerId, runId: string): string {
  return join(replicaFolder(site, serverId), 'runs', fileNameFor(runId));
}

/** Disks of machines whose recovery was committed. */
export function recoveredFolder(site: Site, serverId: ServerId): string {
  return join(site.folder, 'recovered', fileNameFor(serverId));
}

export function recoveredFile(site: Site, serverId: ServerId, runId: string, diskId: DiskId): string {
  return join(recoveredFolder(site, serverId), fileNameFor(runId), `${fileNameFor(diskId)}.raw`);
}

export async function readReplica(site: Site, serverId: ServerId): Promise<ReplicaRecord | undefined> {
  const record = await readJson<ReplicaRecord>(replicaFile(site, serverId));
  return record?.removed ? undefined : record;
}

/** What a change of a replica decides: nothing to do, or the next record and the effect's name. */
export type ReplicaChange = { next: ReplicaRecord; what: string; runId?: string; disk?: string } | null;

/**
 * Changes one replica under its lock, also among processes. Files are arranged by `decide`, again and again if need be;
 * the record is what counts, so that a change is made and logged once, whatever moment a process dies at.
 */
export async function changeReplica(
  site: Site,
  serverId: ServerId,
  decide: (record: ReplicaRecord | undefined) => Promise<ReplicaChange>,
  signal?: AbortSignal,
): Promise<ReplicaRecord | undefined> {
  return withFileLock(
    lockName(site, `replica ${serverId}`),
    async () => {
      const record = await settle(site, serverId);
      const change = await decide(record);
      if (!change) return record;
      const { next, what, ...more } = change;
      const outbox = [newEffect(site, `replicas.${what}`, serverId, more)];
      await writeReplica(site, { ...next, outbox });
      await logEffects(site, outbox);
      return forget(site, next);
    },
    signal,
  );
}

/** Finishes the bookkeeping of a process that died between its change and its log line. */
async function settle(site: Site, serverId: ServerId): Promise<ReplicaRecord | undefined> {
  const record = await readJson<ReplicaRecord>(replicaFile(site, serverId));
  if (!record || (record.outbox.length === 0 && !record.removed)) return record;
  await logEffects(site, await missingEffects(site, record.outbox));
  return forget(site, record);
}

async function forget(site: Site, record: ReplicaRecord): Promise<ReplicaRecord | undefined> {
  if (record.removed) {
    await rm(replicaFolder(site, record.serverId), { recursive: true, force: true });
    return undefined;
  }
  const quiet = { ...record, outbox: [] };
  await writeReplica(site, quiet);
  return quiet;
}

function writeReplica(site: Site, record: ReplicaRecord): Promise<void> {
  return writeJson(replicaFile(site, record.serverId), record, { alone: true });
}

function replicaFile(site: Site, serverId: ServerId): string {
  return join(replicaFolder(site, serverId), 'replica.json');
}

export function noReplica(site: Site, serverId: ServerId): OperatorError {
  return new OperatorError({
    what: `there is no replica of server ${serverId} at site ${site.id}`,
    needed: 'a replica with a complete point',
    remedy: 'Protect the server, or recover it at the site that has its replica.',
  });
}

/** Manifests that are there, oldest first, complete or not. */
async function manifests(site: Site, serverId: ServerId): Promise<PointManifest[]> {
  const folder = join(replicaFolder(site, serverId), 'points');
  const names = (await readdir(folder).catch(() => [] as string[])).filter((name) => /^\d+$/.test(name)).sort();
  const found = await Promise.all(names.map((name) => readManifest(join(folder, name, 'manifest.json'))));
  return found.filter((manifest) => manifest !== undefined && manifest !== 'damaged') as PointManifest[];
}

/** A damaged manifest costs its point, not the replica. */
async function readManifest(path: string): Promise<PointManifest | 'damaged' | undefined> {
  return readJson<PointManifest>(path).catch((error: unknown) => {
    if (isMusterError(error)) return 'damaged' as const;
    throw error;
  });
}

/** What lies there as a point and is not complete. */
export async function orphansOf(site: Site, serverId: ServerId): Promise<OrphanView[]> {
  const folder = join(replicaFolder(site, serverId), 'points');
  const complete = new Set((await completePoints(site, serverId)).map((point) => point.sequence));
  const mergedThrough = (await readReplica(site, serverId))?.mergedThrough ?? null;
  const orphans: OrphanView[] = [];
  for (const name of (await readdir(folder).catch(() => [] as string[])).filter((one) => /^\d+$/.test(one)).sort()) {
    const manifest = await readManifest(join(folder, name, 'manifest.json'));
    if (manifest === undefined || complete.has(Number(name))) continue;
    if (manifest !== 'damaged' && manifest.pointId === mergedThrough) continue;
    const because = manifest === 'damaged' ? 'is damaged' : 'stands on no complete point, or lacks a disk';
    const pointId = manifest === 'damaged' ? null : manifest.pointId;
    orphans.push({ pointId, file: `${name}/manifest.json`, because, storedBytes: 0 });
  }
  return orphans;
}

/** Complete points with an unbroken chain below them, oldest first; read again when a merge took the lowest of them meanwhile. */
export async function completePoints(site: Site, serverId: ServerId): Promise<PointManifest[]> {
  const merged = async (): Promise<string | null> => (await readReplica(site, serverId))?.mergedThrough ?? null;
  for (let before = await merged(); ;) {
    const points = await pointsAbove(site, serverId, before);
    const after = await merged();
    if (after === before) return points;
    before = after;
  }
}

async function pointsAbove(site: Site, serverId: ServerId, mergedThrough: string | null): Promise<PointManifest[]> {
  const whole: PointManifest[] = [];
  for (const manifest of await manifests(site, serverId)) {
    if (manifest.pointId === mergedThrough) continue;
    const below = whole.at(-1)?.pointId ?? null;
    const stands = manifest.parentPointId === below || (below === null && manifest.parentPointId === mergedThrough);
    if (stands && (await hasItsFiles(site, serverId, manifest))) whole.push(manifest);
  }
  return whole;
}

async function hasItsFiles(site: Site, serverId: ServerId, manifest: PointManifest): Promise<boolean> {
  for (const disk of manifest.disks) {
    const path = join(replicaFolder(site, serverId), disk.file);
    if ((await fileSizeBytes(path)) !== disk.virtualSizeBytes) return false;
  }
  return true;
}

/** One more than that of any point that is there, complete or not, readable or not. */
export async function nextSequence(site: Site, serverId: ServerId): Promise<number> {
  const names = await readdir(join(replicaFolder(site, serverId), 'points')).catch(() => [] as string[]);
  return Math.max(0, ...names.filter((name) => /^\d+$/.test(name)).map(Number)) + 1;
}

/** Removes what a killed cycle or merge left: copies under way, points without manifest, the point that was merged. */
export async function clearLeftovers(site: Site, serverId: ServerId): Promise<void> {
  const folder = join(replicaFolder(site, serverId), 'points');
  const complete = new Set((await completePoints(site, serverId)).map((point) => point.sequence));
  const mergedThrough = (await readReplica(site, serverId))?.mergedThrough ?? null;
  for (const name of await readdir(folder).catch(() => [] as string[])) {
    const manifest = await readManifest(join(folder, name, 'manifest.json'));
    const isMerged = manifest !== 'damaged' && manifest?.pointId === mergedThrough;
    const orphanIsKept = manifest && /^\d+$/.test(name) && !isMerged;
    if (complete.has(Number(name)) || orphanIsKept) continue;
    await rm(join(folder, name), { recursive: true, force: true });
  }
}

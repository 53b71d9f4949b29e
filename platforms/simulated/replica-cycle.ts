/** One cycle of a simulated replication session: copy, take the signatures out, manifest last, merge at most one point. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { v7 as uuidv7 } from 'uuid';
import { isMusterError, OperatorError } from '../../model/errors';
import type { PointDisk, PointManifest } from '../../model/replica';
import type { ServerSpec } from '../../model/server';
import type { CopyResult, CycleOptions, CycleReport, ReplicationSource } from '../../replication/contract';
import { withFileLock } from '../file-lock';
import { writeJson } from '../json-file';
import { requireSpace } from './capacity';
import { readPartitions, signaturePieces, writePieces } from './disk-bytes';
import {
  changeReplica,
  clearLeftovers,
  completePoints,
  nextSequence,
  noReplica,
  pointFolder,
  readReplica,
  replicaFolder,
  runsOnPoints,
  type ReplicaRecord,
} from './replica-files';
import { heldByAnother } from './replicas';
import { simulatedSource } from './source';
import { lockName, reach, type Site } from './site';

/**
 * Copying takes as long as the source takes, for ever when it is gone; so only cycles wait for it. The replica's own lock
 * is held for the moment in which the point comes into being, and a run that took hold meanwhile wins.
 */
export async function cycle(site: Site, server: ServerSpec, options: CycleOptions = {}): Promise<CycleReport> {
  await reach(site, options);
  return withFileLock(lockName(site, `cycle ${server.id}`), () => cycleAlone(site, server, options), options.signal);
}

async function cycleAlone(site: Site, server: ServerSpec, options: CycleOptions): Promise<CycleReport> {
  requireFree(site, server, await readReplica(site, server.id));
  await clearLeftovers(site, server.id);
  const incoming = join(replicaFolder(site, server.id), 'points', `incoming-${randomUUID()}`);
  try {
    return await cycleThrough(site, server, incoming, options);
  } finally {
    // Nobody comes back for what a cancelled cycle copied when replication is paused.
    await rm(incoming, { recursive: true, force: true });
  }
}

async function cycleThrough(
  site: Site,
  server: ServerSpec,
  incoming: string,
  options: CycleOptions,
): Promise<CycleReport> {
  const startedAt = site.now();
  const { pointId, copy, source } = await copyDisks(site, server, incoming, options);
  let manifest: PointManifest | undefined;
  let merged: string | null = null;
  await changeReplica(
    site,
    server.id,
    async (record) => {
      requireFree(site, server, record);
      manifest = await completePoint(site, server, record!, { pointId, copy, incoming });
      merged = await oldestToMerge(site, server, record!);
      return { what: 'cycle', next: { ...record!, mergedThrough: merged ?? record!.mergedThrough, lastError: null } };
    },
    options.signal,
  );
  if (merged !== null) await clearLeftovers(site, server.id);
  await forgetOldCheckpoints(source, server.source.machineName, pointId, options);
  return { manifest: manifest!, copiedBytes: copy.copiedBytes, merged, durationMs: site.now() - startedAt };
}

function requireFree(site: Site, server: ServerSpec, record: ReplicaRecord | undefined): void {
  if (!record) throw noReplica(site, server.id);
  if (record.heldBy !== null) throw heldByAnother(record, 'brought up to date');
}

async function copyDisks(site: Site, server: ServerSpec, incoming: string, options: CycleOptions) {
  const parent = (await completePoints(site, server.id)).at(-1);
  const pointId = uuidv7({ msecs: site.now() });
  const neededBytes = server.disks.reduce((sum, disk) => sum + disk.sizeBytes, 0);
  await requireSpace(site, neededBytes);
  await mkdir(incoming, { recursive: true });
  const source = sourceOf(site, server);
  const request = {
    machineName: server.source.machineName,
    checkpoint: pointId,
    disks: server.disks.map((disk) => ({
      diskId: disk.id,
      device: disk.sourceDevice,
      file: join(incoming, `${disk.id}.raw`),
    })),
    freezeFilesystems: options.freezeFilesystems ?? false,
    ofStoppedMachine: options.ofStoppedMachine ?? false,
  };
  const copy = await copySince(source, request, parent?.pointId ?? null, options);
  return { pointId, copy, source };
}

async function completePoint(
  site: Site,
  server: ServerSpec,
  record: ReplicaRecord,
  { pointId, copy, incoming }: { pointId: string; copy: CopyResult; incoming: string },
): Promise<PointManifest> {
  const parent = (await completePoints(site, server.id)).at(-1);
  const sequence = await nextSequence(site, server.id);
  const folder = pointFolder(site, server.id, sequence);
  const disks: PointDisk[] = [];
  for (const { id } of server.disks) {
    disks.push(await sealDisk(site, server.id, folder, id, join(incoming, `${id}.raw`)));
  }
  const manifest: PointManifest = {
    format: 1,
    pointId,
    serverId: server.id,
    sequence,
    parentPointId: parent?.pointId ?? record.mergedThrough,
    takenAt: copy.takenAt,
    completedAt: new Date(site.now()).toISOString(),
    clockSkewMs: copy.clockSkewMs,
    consistency: copy.consistency,
    origin: server.source,
    codec: 'raw',
    keyRef: null,
    disks,
  };
  await writeJson(join(incoming, 'manifest.json'), manifest);
  // The point comes into being by this rename: with its manifest, or not at all.
  await rename(incoming, folder);
  return manifest;
}

/** An increment where the source still knows the parent's checkpoint; else everything. */
async function copySince(
  source: ReplicationSource,
  request: Omit<Parameters<ReplicationSource['copy']>[0], 'since'>,
  since: string | null,
  options: CycleOptions,
): Promise<CopyResult> {
  try {
    return await source.copy({ ...request, since }, options);
  } catch (error) {
    if (!isMusterError(error) || !error.facts.what.startsWith('CheckpointLost')) throw error;
    return source.copy({ ...request, since: null }, options);
  }
}

async function forgetOldCheckpoints(source: ReplicationSource, machine: string, keep: string, options: CycleOptions) {
  for (const checkpoint of await source.checkpoints(machine, options)) {
    if (checkpoint !== keep) await source.deleteCheckpoint(machine, checkpoint, options);
  }
}

/** Takes the signatures out of the copy and describes it as it will lie in the point's folder. */
async function sealDisk(
  site: Site,
  serverId: string,
  folder: string,
  diskId: string,
  file: string,
): Promise<PointDisk> {
  const signatures = (await readPartitions(file))
    .filter((volume) => volume.type !== null)
    .map((volume) => ({
      partition: volume.partition,
      volumeOffsetBytes: volume.offsetBytes,
      volumeSizeBytes: volume.sizeBytes,
      type: volume.type as string,
      pieces: signaturePieces(volume.offsetBytes),
    }));
  for (const signature of signatures) await writePieces(file, signature.pieces, false);
  const { size } = await stat(file);
  return {
    diskId,
    file: relative(replicaFolder(site, serverId), join(folder, basename(file))),
    virtualSizeBytes: size,
    storedBytes: size,
    sha256: createHash('sha256')
      .update(await readFile(file))
      .digest('hex'),
    signatures,
  };
}

/** The oldest point when more stand than the server keeps and no run stands on any. */
async function oldestToMerge(site: Site, server: ServerSpec, record: ReplicaRecord): Promise<string | null> {
  if (runsOnPoints(record).length > 0) return null;
  const points = await completePoints(site, server.id);
  return points.length > Math.max(1, server.cadence.keepPoints) ? points[0]!.pointId : null;
}

function sourceOf(site: Site, server: ServerSpec): ReplicationSource {
  const { siteId } = server.source;
  const source = site.sources[siteId] ?? (siteId === site.id ? simulatedSource(site) : undefined);
  if (source) return source;
  throw new OperatorError({
    what: `server ${server.name} cannot be copied`,
    found: `no connection to site ${siteId} is configured at site ${site.id}`,
    needed: 'the source site among the configured sites',
    remedy: 'Add the site to the configuration, then retry.',
  });
}

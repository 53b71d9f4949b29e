/**
 * One cycle of a session: copy what changed, make layers of it, take the signatures out, write the manifest. Until the
 * manifest is written nothing of the cycle exists, and the next cycle clears what it left.
 */
import { rm, stat } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import { v7 as uuidv7 } from 'uuid';
import type { CallOptions } from '../platforms/contract';
import { isMusterError, PermanentError } from '../model/errors';
import type { PointDisk, PointManifest } from '../model/replica';
import type { DiskSpec, ServerSpec, SiteId } from '../model/server';
import type { DiskLayout } from '../disks/signatures';
import { agentFirst } from './agent-to-come';
import type { CopyRequest, CopyResult, CycleOptions, CycleReport, ReplicationSource } from './contract';
import { assertNotGivenAway } from './commit';
import { syncPath, temporarySuffix } from './durable';
import { assertNotHeldByAnother } from './hold';
import { takeSignatures } from './layer-signatures';
import { fileDigest, layerInfo, setBacking } from './layers';
import { chainOf, layerPath, namesIn, readPoints, writeManifest, type PointSet } from './manifests';
import { finishMerge, mergeOldest } from './merge';
import { openReplica } from './open-replica';
import { safeName, type ReplicaPlace } from './place';
import { isPreparing } from './preparations';
import { bytesDone } from './progress';
import { runsOnPoints } from './run-record';

export interface CycleDependencies {
  readonly source: ReplicationSource;
  readonly siteId: SiteId;
  readonly clock: () => number;
  /** Partition tables of the newest point's disks, by file; only a shortcut: without an entry they are read. */
  readonly layouts: Map<string, DiskLayout>;
}

/** What the new point stands on; null for the first and after a lost checkpoint. */
type Parent = PointManifest | null;

export async function runCycle(
  place: ReplicaPlace,
  server: ServerSpec,
  deps: CycleDependencies,
  options: CycleOptions = {},
): Promise<CycleReport> {
  const startedAt = deps.clock();
  await assertNotHeldByAnother(place, null);
  await assertNotGivenAway(place);
  await settle(place, options);
  const set = await readPoints(place);
  const { copy, parent, names } = await copyDisks(place, server, set, deps, options);
  const disks: PointDisk[] = [];
  for (const { disk, file } of names.files) {
    options.signal?.throwIfAborted();
    options.onProgress?.(bytesDone(`completing ${disk.id}`, copy.copiedBytes, null));
    disks.push(await completeLayer(place, { disk, file, parent }, deps, options));
  }
  await syncPath(place.layers);
  const manifest: PointManifest = {
    format: 1,
    pointId: names.pointId,
    serverId: server.id,
    sequence: names.sequence,
    parentPointId: parent?.pointId ?? null,
    takenAt: copy.takenAt,
    completedAt: new Date(deps.clock()).toISOString(),
    clockSkewMs: copy.clockSkewMs,
    consistency: copy.consistency,
    origin: {
      siteId: server.source.siteId,
      machineName: server.source.machineName,
      ...(copy.withoutAgentIn == null ? {} : { withoutAgentIn: copy.withoutAgentIn }),
    },
    codec: 'qcow2',
    keyRef: null,
    disks,
  };
  // Who copied longer than a run would wait for it must not change what that run has chosen meanwhile.
  options.signal?.throwIfAborted();
  await assertNotHeldByAnother(place, null);
  await writeManifest(place, manifest);
  await openReplica(place);
  // Of a machine that is off, only a checkpoint's description could be removed, and its bitmap would stay in the image.
  if (options.ofStoppedMachine !== true) await forgetCheckpoints(server, manifest, deps, options);
  const merged = (await mayMerge(place)) ? await mergeOldest(place, server.cadence.keepPoints, options) : null;
  return { manifest, copiedBytes: copy.copiedBytes, durationMs: Math.max(0, deps.clock() - startedAt), merged };
}

/** Not beneath overlays, which would see the merged bytes. */
async function mayMerge(place: ReplicaPlace): Promise<boolean> {
  return (await runsOnPoints(place)).length === 0 && !(await isPreparing(place));
}

/** Finishes or clears what an earlier cycle left, and brings the target server up. */
async function settle(place: ReplicaPlace, options: CallOptions): Promise<void> {
  if (await mayMerge(place)) await finishMerge(place, options);
  const set = await readPoints(place);
  await openReplica(place);
  const named = new Set(set.manifests.flatMap((point) => point.disks.map((disk) => disk.file)));
  for (const disk of set.merge?.disks ?? []) named.add(disk.fromFile).add(disk.intoFile);
  for (const name of await namesIn(place.layers)) {
    if (named.has(`layers/${name}`) || set.mayBeNeeded(name)) continue;
    await rm(join(place.layers, name), { force: true });
  }
  for (const name of await namesIn(place.points)) {
    if (name.endsWith(temporarySuffix)) await rm(join(place.points, name), { force: true });
  }
}

interface NewNames {
  readonly pointId: string;
  readonly sequence: number;
  readonly files: readonly { readonly disk: DiskSpec; readonly file: string }[];
}

async function copyDisks(
  place: ReplicaPlace,
  server: ServerSpec,
  set: PointSet,
  deps: CycleDependencies,
  options: CycleOptions,
): Promise<{ copy: CopyResult; parent: Parent; names: NewNames }> {
  const names = newNames(server, set, deps.clock());
  const newest = set.points.at(-1);
  const parent = newest !== undefined && sameDisks(newest, server) ? newest : null;
  const request: CopyRequest = {
    machineName: server.source.machineName,
    checkpoint: checkpointName(server.id, names.pointId),
    since: parent === null ? null : checkpointName(server.id, parent.pointId),
    disks: names.files.map(({ disk, file }) => ({
      diskId: disk.id,
      device: disk.sourceDevice,
      file: layerPath(place, file),
    })),
    freezeFilesystems: options.freezeFilesystems ?? freezeIsDue(server, set.points, deps.clock()),
    ofStoppedMachine: options.ofStoppedMachine ?? false,
    agentFirst: options.agentFirst === true ? agentFirst(server, set.points, deps.clock()) : undefined,
  };
  try {
    return { copy: await deps.source.copy(request, options), parent, names };
  } catch (error) {
    if (!isCheckpointLost(error)) throw error;
    // The source no longer knows what changed since (restarted after a crash): a full copy begins a new chain, and the
    // points of the old one stay until they are in excess.
    for (const { file } of request.disks) await rm(file, { force: true });
    return { copy: await deps.source.copy({ ...request, since: null }, options), parent: null, names };
  }
}

function newNames(server: ServerSpec, set: PointSet, now: number): NewNames {
  const sequence = set.nextSequence;
  const files = [...server.disks]
    .sort((a, b) => a.index - b.index)
    .map((disk) => ({
      disk,
      file: `layers/${String(sequence).padStart(8, '0')}-${safeName(disk.id, 'disk id')}.qcow2`,
    }));
  return { pointId: uuidv7({ msecs: now }), sequence, files };
}

/** Turns a copied file into a layer of the chain and describes it for the manifest. */
async function completeLayer(
  place: ReplicaPlace,
  { disk, file, parent }: { disk: DiskSpec; file: string; parent: Parent },
  deps: CycleDependencies,
  options: CallOptions,
): Promise<PointDisk> {
  const path = layerPath(place, file);
  const below = parent?.disks.find((entry) => entry.diskId === disk.id);
  const { virtualSizeBytes } = await layerInfo(path, options);
  if (below !== undefined && virtualSizeBytes < below.virtualSizeBytes) {
    throw new PermanentError({
      what: `disk ${disk.id} of the source has become smaller`,
      found: `${virtualSizeBytes} bytes`,
      needed: `at least ${below.virtualSizeBytes} bytes`,
      remedy: 'Remove the session and protect the server anew.',
    });
  }
  await setBacking(path, below === undefined ? null : basename(below.file), options);
  const beneath = below === undefined ? null : { disk: below, layout: deps.layouts.get(layerPath(place, below.file)) };
  const taken = await takeSignatures(path, beneath, options);
  if (below !== undefined) deps.layouts.delete(layerPath(place, below.file));
  deps.layouts.set(path, taken.layout);
  await syncPath(path);
  const { storedBytes } = await layerInfo(path, options);
  const { size: fileBytes } = await stat(path);
  const sha256 = await fileDigest(path, options);
  return { diskId: disk.id, file, virtualSizeBytes, storedBytes, fileBytes, sha256, signatures: taken.signatures };
}

/** Older checkpoints cost the source a bitmap each; one that cannot be removed now is removed after a later cycle. */
async function forgetCheckpoints(
  server: ServerSpec,
  newest: PointManifest,
  { source }: CycleDependencies,
  options: CallOptions,
): Promise<void> {
  const keep = checkpointName(server.id, newest.pointId);
  try {
    const all = await source.checkpoints(server.source.machineName, options);
    for (const name of all) {
      if (name !== keep && name.startsWith(checkpointPrefix(server.id))) {
        await source.deleteCheckpoint(server.source.machineName, name, options);
      }
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    if (!isMusterError(error)) throw error;
  }
}

export const checkpointPrefix = (serverId: string) =>
  `muster-${createHash('sha256').update(serverId).digest('hex').slice(0, 8)}-`;
const checkpointName = (serverId: string, pointId: string) => checkpointPrefix(serverId) + pointId;

function isCheckpointLost(error: unknown): boolean {
  return isMusterError(error) && error.facts.what.startsWith('CheckpointLost');
}

const sameDisks = (point: PointManifest, server: ServerSpec) =>
  point.disks.length === server.disks.length &&
  server.disks.every((disk) => point.disks.some((entry) => entry.diskId === disk.id));

function freezeIsDue(server: ServerSpec, points: readonly PointManifest[], now: number): boolean {
  const { freezeEveryMs } = server.cadence;
  if (freezeEveryMs === 0) return false;
  const last = points.findLast((point) => point.consistency !== 'crash');
  if (last === undefined) return true;
  const sinceMs = now - Date.parse(last.takenAt);
  // Less than nothing: the clock was set back, and waiting for it could mean no such point for hours.
  return sinceMs < 0 || sinceMs >= freezeEveryMs;
}

/** Files of one disk of a point, base first, as whole paths. */
export async function chainPaths(place: ReplicaPlace, pointId: string, diskId: string): Promise<string[]> {
  return (await chainOf(place, await readPoints(place), pointId, diskId)).map((file) => layerPath(place, file));
}

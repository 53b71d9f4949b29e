/** The replicas of a site: folders of layers and manifests, and a target server for each (design: The replica). */
import { mkdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallOptions } from '../platforms/contract';
import { isMusterError, OperatorError } from '../model/errors';
import type { DiskLayout } from '../disks/signatures';
import { fewAtOnce } from '../model/few-at-once';
import { within } from '../programs/within';
import type { ServerSpec, ServerId, SiteId } from '../model/server';
import { beginAnew, beginCommit, finishCommit, readCommit, removeLayers } from './commit';
import { givenLayers } from './given';
import type { Replicas, ReplicationSource } from './contract';
import { checkpointPrefix, runCycle } from './cycle';
import { readJson, writeDurably } from './durable';
import { examinePoint } from './examine';
import { holdFor, letGoFor, readHold } from './hold';
import { namesIn, readPoints } from './manifests';
import { openReplica } from './open-replica';
import { createFolders, isSafeName, placeOf, type ReplicaPlace } from './place';
import { heldDisks, isWholeCopy, readRuns, runsOnPoints } from './run-record';
import { copySizeOf } from './copies';
import { dropOverlays, handOverDisk, releaseDisk, takeBackDisk, takeDisks } from './runs';
import { namingStorage } from './storage-problems';
import { surveyReplica } from './survey';
import { stopTargetServer } from './target-server';
import { viewOf } from './views';

export interface ReplicasSettings {
  /** Where replicas are kept, one folder per server; the hypervisor's user must be able to pass through. */
  readonly folder: string;
  readonly source: ReplicationSource;
  readonly siteId: SiteId;
  /** Milliseconds since 1970, UTC. */
  readonly clock: () => number;
  /** Where the target servers' sockets are; a short path. */
  readonly runtimeFolder?: string;
}

/** Longest wait for the source when a replica is removed: it may be gone for good. */
const sourceDeadlineMs = 10_000;

/** Each view reads the files of a replica. */
const viewsAtOnce = 8;

export function createReplicas(settings: ReplicasSettings): Replicas {
  const { folder, source, siteId, clock } = settings;
  const layouts = new Map<string, DiskLayout>();
  const at = (serverId: ServerId) => placeOf(folder, settings.runtimeFolder ?? '/run/muster', serverId);
  const now = () => new Date(clock()).toISOString();
  const replicas: Replicas = {
    prepare: (server) => prepare(at(server.id), server),
    cycle: (server, options) => runCycle(at(server.id), server, { source, siteId, clock, layouts }, options),
    points: async (serverId) => [...(await readPoints(at(serverId))).points],
    examine: (serverId, point, options) => examinePoint(at(serverId), point, options),
    view: (serverId) => viewOf(at(serverId), clock()),
    views: async () => {
      // Of what else lies in the folder (lost+found, somebody's notes) nothing is a replica.
      const names = (await namesIn(folder)).filter(isSafeName);
      const found = await fewAtOnce(names, viewsAtOnce, (serverId) => viewOf(at(serverId), clock()));
      return found.filter((view) => view !== undefined);
    },
    hold: (serverId, runId, state, options) => holdFor(at(serverId), runId, { state, at: now(), ...options }),
    letGo: (serverId, runId) => letGoFor(at(serverId), runId),
    take: (server, point, option, runId, options) =>
      takeDisks(at(server.id), { server, point, option, runId }, options),
    drop: (serverId, runId, options) => dropOverlays(at(serverId), runId, options),
    handOver: (serverId, runId, diskId) => handOverDisk(at(serverId), runId, diskId),
    takeBack: (serverId, runId, diskId, options) => takeBackDisk(at(serverId), runId, diskId, options),
    release: (serverId, runId, diskId, options) => releaseDisk(at(serverId), runId, diskId, options),
    beginCommit: (serverId, runId) => beginCommit(at(serverId), runId),
    finishCommit: (serverId, runId) => finishCommit(at(serverId), runId),
    runs: async (serverId) => (await runsOnPoints(at(serverId))).map((record) => record.runId),
    copySizeBytes: (serverId, point, options) => copySizeOf(at(serverId), point, options),
    remove: (serverId, options) => remove(at(serverId), source, options),
    survey: (serverId) => surveyReplica(at(serverId)),
    freeBytes: async () => {
      await mkdir(folder, { recursive: true });
      const { bavail, bsize } = await statfs(folder);
      return bavail * bsize;
    },
  };
  return namingStorage(replicas, folder);
}

async function prepare(place: ReplicaPlace, server: ServerSpec): Promise<void> {
  await beginAnew(place);
  await createFolders(place);
  await writeDurably(place.server, server);
  await openReplica(place);
}

async function remove(place: ReplicaPlace, source: ReplicationSource, options: CallOptions = {}): Promise<void> {
  await assertUnused(place);
  await stopTargetServer(place);
  const server = (await readJson(place.server)) as ServerSpec | undefined;
  if (server !== undefined) await forgetSource(server, source, options);
  // What was given to a recovered machine: its disks stay, and with them what says so.
  const isGiven = (await readCommit(place)) !== undefined || (await givenLayers(place)).size > 0;
  const copies = await readRuns(place);
  const target = join(place.folder, 'target');
  const gone = [place.points, place.server, place.merge, place.prepared, place.preparing, target];
  for (const path of copies.length > 0 ? gone : [...gone, place.runs]) await rm(path, { recursive: true, force: true });
  await removeLayers(place);
  if (!isGiven && copies.length === 0) await rm(place.folder, { recursive: true, force: true });
  await rm(place.socketFolder, { recursive: true, force: true });
}

/** A run that has handed its copies over needs nothing of the replica any more. */
async function assertUnused(place: ReplicaPlace): Promise<void> {
  const runId = (await readHold(place))?.runId ?? (await runsAtWork(place))[0];
  if (runId === undefined) return;
  throw new OperatorError({
    what: `the replica of server ${place.serverId} cannot be removed`,
    found: `run ${runId} uses it`,
    needed: 'a replica that no run uses',
    remedy: `Finish or abort run ${runId} first.`,
  });
}

async function runsAtWork(place: ReplicaPlace): Promise<string[]> {
  const runs = await readRuns(place);
  const over = await Promise.all(runs.map(async (run) => (await isWholeCopy(place, run)) && !heldDisks(run).length));
  return runs.filter((_, at) => !over[at]).map((run) => run.runId);
}

/** Best effort: the source may be gone, and its checkpoints with it. */
async function forgetSource(server: ServerSpec, source: ReplicationSource, options: CallOptions): Promise<void> {
  const { machineName } = server.source;
  const mine = checkpointPrefix(server.id);
  const bounds = { signals: [options.signal], ms: sourceDeadlineMs };
  await within(bounds, async (signal) => {
    try {
      for (const name of await source.checkpoints(machineName, { signal })) {
        if (name.startsWith(mine)) await source.deleteCheckpoint(machineName, name, { signal });
      }
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!signal.aborted && !isMusterError(error)) throw error;
    }
  });
}

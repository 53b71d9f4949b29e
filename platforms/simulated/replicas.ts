/** The Replicas of a simulated site. Every point holds whole raw images, so that a parent matters to the chain only. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { OperatorError } from '../../model/errors';
import { fewAtOnce } from '../../model/few-at-once';
import type { PointManifest, ReplicaView } from '../../model/replica';
import type { ServerId, ServerSpec } from '../../model/server';
import type { HoldOptions, Replicas } from '../../replication/contract';
import type { CallOptions } from '../contract';
import { filesAtOnce, readJson } from '../json-file';
import { freeBytes } from './capacity';
import { beginCommit, finishCommit } from './replica-commit';
import { preparedViews } from './preparations';
import { cycle } from './replica-cycle';
import { examine } from './replica-examine';
import {
  changeReplica,
  completePoints,
  noReplica,
  orphansOf,
  readReplica,
  recoveredFolder,
  runsAtWork,
  runsOnPoints,
  type ReplicaRecord,
} from './replica-files';
import { copySizeBytes, drop, handOver, release, take, takeBack } from './replica-runs';
import { surveyReplica } from './replica-survey';
import { exists, reach, type Site } from './site';

export function simulatedReplicas(site: Site): Replicas {
  return {
    prepare: (server, options) => prepare(site, server, options),
    cycle: (server, options) => cycle(site, server, options),
    points: async (serverId) => {
      await reach(site);
      return completePoints(site, serverId);
    },
    examine: (serverId, point, options) => examine(site, serverId, point, options),
    view: (serverId) => view(site, serverId),
    views: () => views(site),
    hold: (serverId, runId, state, options) => hold(site, serverId, { runId, state, ...options }),
    letGo: (serverId, runId) => letGo(site, serverId, runId),
    take: (server, point, option, runId, options) => take(site, server, point, option, runId, options),
    drop: (serverId, runId, options) => drop(site, serverId, runId, options),
    handOver: (serverId, runId, diskId, options) => handOver(site, serverId, runId, diskId, options),
    takeBack: (serverId, runId, diskId, options) => takeBack(site, serverId, runId, diskId, options),
    release: (serverId, runId, diskId, options) => release(site, serverId, runId, diskId, options),
    beginCommit: (serverId, runId, options) => beginCommit(site, serverId, runId, options),
    finishCommit: (serverId, runId, options) => finishCommit(site, serverId, runId, options),
    runs: async (serverId) => {
      await reach(site);
      return runsOnPoints(await readReplica(site, serverId));
    },
    copySizeBytes: (serverId, point, options) => copySizeBytes(site, serverId, point, options),
    remove: (serverId, options) => remove(site, serverId, options),
    survey: (serverId) => surveyReplica(site, serverId),
    freeBytes: async () => {
      await reach(site);
      return freeBytes(site);
    },
  };
}

async function prepare(site: Site, server: ServerSpec, options: CallOptions = {}): Promise<void> {
  await reach(site, options);
  const decide = async (record: ReplicaRecord | undefined) =>
    record ? null : { what: 'prepare', next: emptyReplica(server) };
  await changeReplica(site, server.id, decide, options.signal);
}

function emptyReplica(server: ServerSpec): ReplicaRecord {
  return {
    serverId: server.id,
    serverName: server.name,
    source: server.source,
    heldBy: null,
    holdState: null,
    targetServerStarts: 1,
    mergedThrough: null,
    lastError: null,
    runs: {},
    outbox: [],
  };
}

async function hold(
  site: Site,
  serverId: ServerId,
  { runId, state, yields = false }: HoldOptions & { runId: string; state: 'frozen' | 'suspended' },
): Promise<void> {
  await reach(site);
  await changeReplica(site, serverId, async (record) => {
    if (!record) throw noReplica(site, serverId);
    if (record.heldBy === runId && record.holdState === state) return null;
    const givesWay = record.holdYields === true && !yields;
    if (record.heldBy !== null && record.heldBy !== runId && !givesWay) throw heldByAnother(record, 'held');
    const { holdYields: _, ...rest } = record;
    const next = { ...rest, heldBy: runId, holdState: state, ...(yields ? { holdYields: true as const } : {}) };
    return { what: `hold-${state}`, runId, next };
  });
}

async function letGo(site: Site, serverId: ServerId, runId: string): Promise<void> {
  await reach(site);
  await changeReplica(site, serverId, async (record) => {
    if (record?.heldBy !== runId) return null;
    const { holdYields: _, ...rest } = record;
    return { what: 'let-go', runId, next: { ...rest, heldBy: null, holdState: null } };
  });
}

async function remove(site: Site, serverId: ServerId, options: CallOptions = {}): Promise<void> {
  await reach(site, options);
  await changeReplica(
    site,
    serverId,
    async (record) => {
      if (!record) return null;
      if (record.heldBy !== null) throw heldByAnother(record, 'removed');
      const [runId] = runsAtWork(record);
      if (runId !== undefined) throw heldByAnother({ ...record, heldBy: runId, holdState: 'suspended' }, 'removed');
      return { what: 'remove', next: { ...record, removed: true } };
    },
    options.signal,
  );
}

export function heldByAnother(record: ReplicaRecord, verb: string): OperatorError {
  return new OperatorError({
    what: `the replica of ${record.serverName} cannot be ${verb}`,
    found: `run ${record.heldBy} holds it ${record.holdState}`,
    needed: 'a replica that no run holds',
    remedy: 'Finish or abort that run first.',
  });
}

async function view(site: Site, serverId: ServerId): Promise<ReplicaView | undefined> {
  await reach(site);
  const record = await readReplica(site, serverId);
  if (record) return viewOf(site, record);
  return (await exists(recoveredFolder(site, serverId))) ? givenAway(serverId) : undefined;
}

/** A recovered machine has its disks for good. */
const givenAway = (serverId: ServerId): ReplicaView => ({
  serverId,
  serverName: serverId,
  state: 'removed',
  heldBy: null,
  points: [],
  lagMs: null,
  storedBytes: 0,
  lastError: null,
});

async function views(site: Site): Promise<ReplicaView[]> {
  await reach(site);
  const folder = join(site.folder, 'replicas');
  const names = await readdir(folder).catch(() => [] as string[]);
  const records = await fewAtOnce(names.sort(), filesAtOnce, (name) =>
    readJson<ReplicaRecord>(join(folder, name, 'replica.json')),
  );
  const there = records.filter((record) => record !== undefined).filter((record) => !record.removed);
  return fewAtOnce(there, filesAtOnce, (record) => viewOf(site, record));
}

async function viewOf(site: Site, record: ReplicaRecord): Promise<ReplicaView> {
  const points = await completePoints(site, record.serverId);
  const newest = points.at(-1);
  const orphans = await orphansOf(site, record.serverId);
  return {
    serverId: record.serverId,
    serverName: record.serverName,
    state: record.holdState ?? (newest ? 'replicating' : 'starting'),
    heldBy: record.heldBy,
    ...(record.holdYields === true ? { holdYields: true as const } : {}),
    points: points.map((point) => ({
      pointId: point.pointId,
      takenAt: point.takenAt,
      consistency: point.consistency,
      storedBytes: storedBytes(point),
    })),
    lagMs: newest ? Math.max(0, site.now() - Date.parse(newest.takenAt)) : null,
    storedBytes: points.reduce((sum, point) => sum + storedBytes(point), 0),
    lastError: record.lastError,
    ...(orphans.length === 0 ? {} : { orphans }),
    prepared: await preparedViews(site, record.serverId),
  };
}

function storedBytes(point: PointManifest): number {
  return point.disks.reduce((sum, disk) => sum + disk.storedBytes, 0);
}

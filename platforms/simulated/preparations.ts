/** The Preparations of a simulated site: what was prepared is a file beside the replica's record. */
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import type { PrepareResult } from '../../disks/contract';
import type { PreparedView } from '../../model/replica';
import type { ServerId, ServerSpec } from '../../model/server';
import type { PreparationGround, Preparations, PreparedEntry } from '../../replication/prepared-contract';
import type { CallOptions } from '../contract';
import { withFileLock } from '../file-lock';
import { readJson, writeJson } from '../json-file';
import { completePoints, readReplica, replicaFolder } from './replica-files';
import { lockName, reach, type Site } from './site';

export function simulatedPreparations(site: Site): Preparations {
  return {
    begin: (server, options) => begin(site, server, options),
    // Points are only read here, so that there is nothing to clear and nothing to end.
    clear: async () => reach(site),
    end: async () => reach(site),
    keep: (serverId, ground, results) => change(site, serverId, (entries) => kept(site, entries, results)),
    markOutdated: (serverId, hardwareIds, because) =>
      change(site, serverId, (entries) =>
        entries.map((entry) =>
          hardwareIds.includes(entry.hardwareId) && entry.state === 'prepared'
            ? { ...entry, state: 'outdated', because }
            : entry,
        ),
      ),
    entries: async (serverId) => {
      await reach(site);
      return [...(await readPrepared(site, serverId))];
    },
    find: async (serverId, hardwareId) => {
      await reach(site);
      const entry = (await readPrepared(site, serverId)).find((one) => one.hardwareId === hardwareId);
      if (entry === undefined) return { because: 'nothing was prepared' };
      const { preparation, at: preparedAt, because } = entry;
      if (preparation === null || preparedAt === null) return { because: `it could not be prepared: ${because}` };
      return { ...preparation, preparedAt };
    },
  };
}

/** For views of the replica. */
export async function preparedViews(site: Site, serverId: ServerId): Promise<PreparedView[]> {
  const entries = await readPrepared(site, serverId);
  return entries.map(({ hardwareId, state, at, because }) => ({ hardwareId, state, at, because }));
}

async function begin(site: Site, server: ServerSpec, options: CallOptions = {}): Promise<PreparationGround | null> {
  await reach(site, options);
  const point = (await completePoints(site, server.id)).at(-1);
  const record = await readReplica(site, server.id);
  if (point === undefined || record === undefined || record.heldBy !== null) return null;
  const folder = replicaFolder(site, server.id);
  const disks = point.disks.map(({ diskId, file, virtualSizeBytes, signatures }, position) => ({
    ...{ diskId, index: position, pointId: point.pointId, virtualSizeBytes, signatures, format: 'raw' as const },
    ...{ path: join(folder, file), editUri: `file:${join(folder, file)}` },
  }));
  return { id: randomUUID(), pointId: point.pointId, takenAt: point.takenAt, disks, folder };
}

const preparedFile = (site: Site, serverId: ServerId) => join(replicaFolder(site, serverId), 'prepared.json');

const readPrepared = async (site: Site, serverId: ServerId): Promise<readonly PreparedEntry[]> =>
  (await readJson<PreparedEntry[]>(preparedFile(site, serverId))) ?? [];

/** Under the replica's lock: of a replica that is removed meanwhile nothing may be written again. */
async function change(
  site: Site,
  serverId: ServerId,
  next: (entries: readonly PreparedEntry[]) => readonly PreparedEntry[],
): Promise<void> {
  await reach(site);
  await withFileLock(lockName(site, `replica ${serverId}`), async () => {
    if ((await readReplica(site, serverId)) === undefined) return;
    await writeJson(preparedFile(site, serverId), next(await readPrepared(site, serverId)));
  });
}

function kept(site: Site, entries: readonly PreparedEntry[], results: readonly PrepareResult[]): PreparedEntry[] {
  const at = new Date(site.now()).toISOString();
  const fresh = results.map((result): PreparedEntry => {
    const { hardwareId } = result;
    const before = entries.find((entry) => entry.hardwareId === hardwareId);
    if ('stillFits' in result && before !== undefined) {
      return { ...before, state: 'prepared', because: null, checkedAt: at };
    }
    const preparation = 'prepared' in result ? result.prepared : null;
    const because = 'because' in result ? result.because : null;
    return { hardwareId, state: preparation === null ? 'failed' : 'prepared', at, checkedAt: at, because, preparation };
  });
  return [...entries.filter(({ hardwareId }) => !fresh.some((one) => one.hardwareId === hardwareId)), ...fresh];
}

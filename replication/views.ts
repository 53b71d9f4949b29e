/** What a replica looks like from outside, from its files alone. */
import { z } from 'zod';
import { isMusterError } from '../model/errors';
import type { OrphanView, PointManifest, ReplicaView, SessionState } from '../model/replica';
import { readCommit } from './commit';
import { readDocument } from './durable';
import { readHold } from './hold';
import { storedBytes } from './layers';
import { exists, layerPath, namesIn, readPoints, type Orphan } from './manifests';
import type { ReplicaPlace } from './place';
import { readEntries } from './prepared-store';

const knownServer = z.looseObject({ name: z.string() });

/** Never throws for what lies there: a damaged file is shown as lastError, so that the other replicas are seen. */
export async function viewOf(place: ReplicaPlace, now: number): Promise<ReplicaView | undefined> {
  if (!(await exists(place.server))) return undefined;
  const problems: string[] = [];
  const told = async <T>(reading: Promise<T>): Promise<T | undefined> =>
    reading.catch((error: unknown) => {
      if (!isMusterError(error)) throw error;
      problems.push(error.message);
      return undefined;
    });
  const [server, set, hold, commit] = await Promise.all([
    told(readDocument(place.server, knownServer)),
    readPoints(place),
    told(readHold(place)),
    told(readCommit(place)),
  ]);
  const newest = set.points.at(-1);
  problems.push(...set.problems);
  return {
    serverId: place.serverId,
    serverName: server?.name ?? place.serverId,
    state: commit === undefined ? (hold?.state ?? stateOf(set.points)) : 'removed',
    heldBy: hold?.runId ?? null,
    ...(hold?.yields === true ? { holdYields: true } : {}),
    points: set.points.map(({ pointId, takenAt, consistency, disks }) => ({
      pointId,
      takenAt,
      consistency,
      storedBytes: disks.reduce((sum, disk) => sum + disk.storedBytes, 0),
    })),
    // A source's clock ahead of ours must not read as a lag below nothing.
    lagMs: newest === undefined ? null : Math.max(0, now - Date.parse(newest.takenAt)),
    storedBytes: await bytesOf(
      place,
      (await namesIn(place.layers)).filter((name) => !set.given.has(name)),
    ),
    lastError: problems.length === 0 ? null : problems.join('; '),
    prepared: (await readEntries(place)).map(({ hardwareId, state, at, because }) => ({
      hardwareId,
      state,
      at,
      because,
    })),
    ...(set.orphans.length === 0
      ? {}
      : { orphans: await Promise.all(set.orphans.map((one) => viewOrphan(place, one))) }),
  };
}

async function viewOrphan(place: ReplicaPlace, { file, point, because }: Orphan): Promise<OrphanView> {
  const names = point?.disks.map((disk) => disk.file.slice('layers/'.length)) ?? [];
  return { pointId: point?.pointId ?? null, file, because, storedBytes: await bytesOf(place, names) };
}

const stateOf = (points: readonly PointManifest[]): SessionState => (points.length === 0 ? 'starting' : 'replicating');

async function bytesOf(place: ReplicaPlace, names: readonly string[]): Promise<number> {
  const sizes = await Promise.all(names.map((name) => storedBytes(layerPath(place, `layers/${name}`)).catch(() => 0)));
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}

/** What a replica looks like from outside, from its files alone. */
import type { PointManifest, ReplicaView, SessionState } from '../model/replica';
import type { ServerSpec } from '../model/server';
import { readCommit } from './commit';
import { readJson } from './durable';
import { readHold } from './hold';
import { storedBytes } from './layers';
import { exists, layerPath, namesIn, readPoints } from './manifests';
import type { ReplicaPlace } from './place';

export async function viewOf(place: ReplicaPlace, now: number): Promise<ReplicaView | undefined> {
  if (!(await exists(place.server))) return undefined;
  const server = (await readJson(place.server)) as ServerSpec;
  const [{ points, problems }, hold, commit] = await Promise.all([
    readPoints(place),
    readHold(place),
    readCommit(place),
  ]);
  const newest = points.at(-1);
  return {
    serverId: place.serverId,
    serverName: server.name,
    state: commit === undefined ? (hold?.state ?? stateOf(points)) : 'removed',
    heldBy: hold?.runId ?? null,
    points: points.map(({ pointId, takenAt, consistency, disks }) => ({
      pointId,
      takenAt,
      consistency,
      storedBytes: disks.reduce((sum, disk) => sum + disk.storedBytes, 0),
    })),
    lagMs: newest === undefined ? null : now - Date.parse(newest.takenAt),
    storedBytes: await bytesOf(place),
    lastError: problems.length === 0 ? null : problems.join('; '),
  };
}

const stateOf = (points: readonly PointManifest[]): SessionState => (points.length === 0 ? 'starting' : 'replicating');

async function bytesOf(place: ReplicaPlace): Promise<number> {
  const names = await namesIn(place.layers);
  const sizes = await Promise.all(names.map((name) => storedBytes(layerPath(place, `layers/${name}`)).catch(() => 0)));
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}

/** The point that somebody asks for. */
import { OperatorError } from '../model/errors';
import type { PointId, PointManifest } from '../model/replica';
import { readPoints } from './manifests';
import type { ReplicaPlace } from './place';

/** @throws OperatorError when it is not there, or not complete. */
export async function completePoint(place: ReplicaPlace, pointId: PointId): Promise<PointManifest> {
  const { points, orphans, problems } = await readPoints(place);
  const point = points.find((candidate) => candidate.pointId === pointId);
  if (point !== undefined) return point;
  const newest = points.at(-1);
  const orphan = orphans.find((candidate) => candidate.point?.pointId === pointId);
  const others =
    newest === undefined
      ? 'no complete point'
      : `${points.length} complete points, the newest ${newest.pointId} of ${newest.takenAt}`;
  throw new OperatorError({
    what: `recovery point ${pointId} of server ${place.serverId} is not there or not complete`,
    found: orphan === undefined ? others : `${orphan.because}; ${others}`,
    needed: 'a complete point',
    remedy:
      'Go back to the freeze, with another point: `muster retry RUN --from freeze --set point=latest --reason …`.',
    detail: problems.join('\n'),
  });
}

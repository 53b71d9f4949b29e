/** Which point a run stands on, and whether its bytes are still those that were copied. */
import { formatSize } from '../model/durations';
import { OperatorError } from '../model/errors';
import { verifyLimitBytes, type RecoveryOrder } from '../model/order';
import type { OrphanView, PointManifest } from '../model/replica';
import type { LayerDamage } from '../replication/contract';
import type { Attempt } from './attempt';
import { callOptions } from './common';
import type { Frozen } from './contract';
import type { RecoverySite } from './site';

/** More is told by `muster replicas`; a message has to be read at night. */
const orphansNamed = 3;

/** @throws OperatorError when the point is not there or not complete, with what is wrong with it. */
export async function choosePoint(order: RecoveryOrder, site: RecoverySite): Promise<PointManifest> {
  const { id, name } = order.server;
  const points = await site.replicas.points(id);
  const point = order.point === 'latest' ? points.at(-1) : points.find((one) => one.pointId === order.point);
  if (point !== undefined) return point;
  const orphans = (await site.replicas.view(id))?.orphans ?? [];
  throw new OperatorError({
    what: order.point === 'latest' ? `${name} has no complete point` : `${name} has no complete point ${order.point}`,
    found: [pointsFound(points), ...orphanWords(orphans, order.point)].join('; '),
    needed: 'a point whose manifest and layers are whole, down to its base',
    remedy:
      points.length > 0
        ? 'Choose one of `muster replicas`, or provide point=latest.'
        : 'Put the damaged files back from a copy of the storage and retry; or abort and recover from elsewhere.',
  });
}

function pointsFound(points: readonly PointManifest[]): string {
  if (points.length === 0) return 'no complete point';
  return `${points.length} complete points, from ${points[0]!.takenAt} to ${points.at(-1)!.takenAt}`;
}

/** What is wrong with the point that is wanted; for the latest, with the newest of those that cannot be used. */
function orphanWords(orphans: readonly OrphanView[], wanted: string): string[] {
  const own = orphans.filter((orphan) => orphan.pointId === wanted);
  const told = own.length > 0 ? own : orphans.slice(-orphansNamed);
  return told.map(({ file, because }) => `${file}: ${because}`);
}

/**
 * Compares the bytes of the point's layers with their digests, as far as the order wants it.
 * @throws OperatorError naming disk, layer, both digests, and the newest point that does not stand on the damage.
 */
export async function verifyPoint(
  order: RecoveryOrder,
  site: RecoverySite,
  point: PointManifest,
  attempt: Attempt,
): Promise<NonNullable<Frozen['verified']>> {
  const limitBytes = limitOf(order);
  if (limitBytes === 0) return { readBytes: 0, totalBytes: 0 };
  const { totalBytes, readBytes, damage, standing } = await site.replicas.examine(order.server.id, point.pointId, {
    ...callOptions(attempt),
    limitBytes,
  });
  if (damage.length === 0) return { readBytes, totalBytes };
  throw new OperatorError({
    what: `recovery point ${point.pointId} of ${order.server.name} does not hold the bytes that were copied`,
    found: damage.map(damageFound).join('; '),
    needed: damage.map(({ file, needed }) => `${file}: SHA-256 ${needed}`).join('; '),
    remedy: remedyOf(standing),
  });
}

function limitOf({ verify = 'never', mode, intent }: RecoveryOrder): number | null {
  if (verify === 'never') return 0;
  return verify === 'always' || mode === 'rehearsal' || intent === 'planned' ? null : verifyLimitBytes;
}

const damageFound = ({ diskId, file, found }: LayerDamage): string => `${file} (${diskId}): SHA-256 ${found}`;

function remedyOf(standing: string | null): string {
  const older =
    standing === null
      ? 'No point is known that does not stand on it.'
      : `Provide point=${standing}, the newest one that does not stand on it.`;
  return `${older} Or put the file back from a copy of the storage and retry. To recover from the damaged bytes all the same, provide verify=never. Layers of up to ${formatSize(verifyLimitBytes)} are compared by themselves.`;
}

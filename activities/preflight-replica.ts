/** What of the replica, and of the clocks around it, can be known to go wrong. */
import { formatDuration } from '../model/durations';
import type { RecoveryOrder } from '../model/order';
import type { PointManifest, ReplicaView } from '../model/replica';
import { check, type Check } from './preflight-check';

export interface ReplicaFound {
  readonly points: readonly PointManifest[];
  /** The one that the order wants. */
  readonly point: PointManifest | undefined;
  readonly view: ReplicaView | undefined;
}

export function checkReplica(order: RecoveryOrder, { points, point, view }: ReplicaFound): Check[] {
  const heldBy = view?.heldBy ?? null;
  const orphans = view?.orphans ?? [];
  const wanted = order.point === 'latest' ? 'a complete point' : `point ${order.point}`;
  const there = point === undefined ? `${points.length} complete points` : `point of ${point.takenAt}`;
  const lost = orphans.slice(-3).map(({ file, because }) => `${file}: ${because}`);
  const checks = [
    check('replica', point !== undefined, [there, ...(point === undefined ? lost : [])].join('; '), wanted),
    check(
      'hold',
      heldBy === null || heldBy === order.runId || (order.mode === 'recovery' && view?.holdYields === true),
      heldBy === null ? 'free' : `held by run ${heldBy}${view?.holdYields === true ? ', a rehearsal' : ''}`,
      'free',
    ),
  ];
  if (point === undefined) return checks;
  const covered = new Set(point.disks.map((disk) => disk.diskId));
  const missing = order.server.disks.filter((disk) => !covered.has(disk.id)).map((disk) => disk.id);
  const ageMs = Date.parse(order.lostAt ?? order.requestedAt) - Date.parse(point.takenAt);
  return [
    ...checks,
    // What is damaged is mended while there is time: a warning, since another point is complete.
    check(
      'other points',
      orphans.length === 0,
      orphans.length === 0 ? 'all complete' : `${orphans.length} not usable: ${lost.join('; ')}`,
      'whole manifests and layers',
      'warning',
    ),
    check(
      'disks',
      missing.length === 0,
      missing.length === 0 ? `${covered.size} disks` : `not in the point: ${missing.join(', ')}`,
      'every disk of the server',
    ),
    // Missing the objective is bad news, not a reason to leave the server down: a warning.
    check(
      'recovery point age',
      ageMs <= order.server.objectives.rpoMs,
      formatDuration(Math.max(0, ageMs)),
      `at most ${formatDuration(order.server.objectives.rpoMs)}`,
      'warning',
    ),
  ];
}

/** Hosts with a time service differ by milliseconds; a person's statement of a time by minutes. */
const usualMs = 60_000;

/**
 * Times that cannot all be true. Points are ordered by their numbers and nothing waits for a clock, so it stops nothing;
 * but whoever reads an RPO has to know.
 */
export function checkClocks(order: RecoveryOrder, point: PointManifest | undefined, nowMs: number): Check {
  const buttonAheadMs = Date.parse(order.requestedAt) - nowMs;
  const lossAheadMs = order.lostAt === null ? 0 : Date.parse(order.lostAt) - Date.parse(order.requestedAt);
  const skewMs = point?.clockSkewMs ?? 0;
  const pointAheadMs =
    point === undefined ? 0 : Date.parse(point.takenAt) - Date.parse(order.lostAt ?? order.requestedAt);
  const loss = order.lostAt === null ? 'the button' : 'the stated loss';
  const found = [
    buttonAheadMs > usualMs
      ? `the button was pushed ${formatDuration(buttonAheadMs)} after now: the API’s clock is ahead of this worker’s`
      : null,
    lossAheadMs > usualMs ? `the stated loss is ${formatDuration(lossAheadMs)} after the button` : null,
    pointAheadMs > usualMs ? `the point was taken ${formatDuration(pointAheadMs)} after ${loss}` : null,
    Math.abs(skewMs) > usualMs
      ? `the source’s clock was ${formatDuration(Math.abs(skewMs))} ${skewMs > 0 ? 'ahead of' : 'behind'} this site’s at the point: so are the times in its logs`
      : null,
  ].filter((words) => words !== null);
  return check(
    'clocks',
    found.length === 0,
    found.join('; ') || 'in agreement',
    'clocks within a minute of each other',
    'warning',
  );
}

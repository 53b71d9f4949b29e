/** How long a worker may take for one workflow task of a plan. */
import { serverCountOf, type PlanOrder } from './plan';
import { givesPlaces } from './runbook/places';

/** A history of 8,000 events, of 1,300 servers, is replayed in 8 s of processor time (6 ms a server), which the other runs of a worker share. */
const msPerServer = 50;
/** Temporal's own, without a word. */
const leastMs = 10_000;
/** Temporal gives no task longer. */
const mostMs = 120_000;

/**
 * A worker that comes new to a plan replays its whole history within one task; where that took longer, it would begin again and
 * again. A worker that dies in the middle of a task is missed this long, so small plans are not given more than they need. A plan with
 * limits gives places to the servers of all that it includes, and its history has as much of each of those as of its own.
 */
export function planTaskTimeoutMs(order: PlanOrder): number {
  const servers = givesPlaces(order) ? serverCountOf(order) : order.servers.length;
  return Math.min(mostMs, leastMs + msPerServer * servers);
}

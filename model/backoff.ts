/** When a failed attempt is tried again (design: law 3). The record shows each delay, so there is no jitter. */
import type { Failure } from './events';
import type { RetryPolicy } from './order';
import { assertNever } from './errors';

export type FailureFamily = Failure['family'];

/** A worker that dies once is bad luck; three in a row and the step itself may be what kills it. */
export const lostWorkersInARow = 3;

/** The n-th delay: exponential and capped. `failures` counts from 1. */
export function delayAfterMs(policy: RetryPolicy, failures: number): number {
  // Capped before it is used: factor ** failures overflows to Infinity, and 0 * Infinity would be NaN.
  const raw = policy.firstDelayMs * Math.min(policy.factor ** Math.max(0, failures - 1), Number.MAX_SAFE_INTEGER);
  return Math.max(0, Math.min(Math.round(raw), policy.maxDelayMs));
}

/**
 * Milliseconds until the next automatic attempt, or null: no further one, the step is parked.
 *
 * `attempt` counts the attempts that cost budget, from 1 and including the one that just failed. Lost workers cost none,
 * so the caller leaves them out of the count; `delayAfterFailures` does that by itself.
 */
export function backoffDelayMs(policy: RetryPolicy, attempt: number, family: FailureFamily): number | null {
  switch (family) {
    case 'PermanentError':
    case 'OperatorError':
    case 'Cancelled': // somebody ended it: nothing but a decision starts it again
      return null;
    case 'LostWorker':
      return delayAfterMs(policy, 1);
    case 'TransientError':
      return attempt >= policy.maxAttempts ? null : delayAfterMs(policy, attempt);
    default:
      return assertNever(family);
  }
}

/**
 * The same from all failures of one item since it was last parked, oldest first: counts the budget without lost
 * workers, and parks after three of them in a row. No failure at all is 0: the first attempt starts at once.
 */
export function delayAfterFailures(policy: RetryPolicy, failures: readonly FailureFamily[]): number | null {
  const last = failures.at(-1);
  if (last === undefined) return 0;
  if (last === 'LostWorker' && lostAtTheEnd(failures) >= lostWorkersInARow) return null;
  return backoffDelayMs(policy, failures.filter((family) => family !== 'LostWorker').length, last);
}

function lostAtTheEnd(failures: readonly FailureFamily[]): number {
  return failures.length - 1 - failures.findLastIndex((family) => family !== 'LostWorker');
}

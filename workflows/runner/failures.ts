/** What a failed attempt means for what happens next, read from Temporal's failures by type, never by instanceof of ours. */
import { ActivityFailure, ApplicationFailure, CancelledFailure, TimeoutFailure } from '@temporalio/common';
import type { FailureDetails } from '../../activities/contract';
import { errorFamilies } from '../../model/errors';
import type { ErrorFamily } from '../../model/errors';

export type AttemptFailure = Omit<FailureDetails, 'worker'> & { readonly worker: string | null };

/** Type of the failure that an activity throws because its worker is stopping. */
export const workerShutdown = 'WorkerShutdown';

/**
 * Classes: our three families by ApplicationFailure.type; a heartbeat time-out or a worker that shut down is a lost
 * worker and costs no budget; a cancelled activity is one that we cancelled; everything else is transient.
 */
export function classify(error: unknown, at: string): AttemptFailure {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  const plain = { at, durationMs: 0, worker: null, evidence: [], remedy: null, detail: null };
  if (cause instanceof CancelledFailure) {
    return { ...plain, family: 'Cancelled', message: 'The attempt was cancelled before it ended.' };
  }
  if (cause instanceof TimeoutFailure) {
    return cause.timeoutType === 'HEARTBEAT'
      ? { ...plain, family: 'LostWorker', message: 'The worker stopped answering in the middle of the attempt.' }
      : { ...plain, family: 'TransientError', message: `The attempt ran out of time (${cause.timeoutType}).` };
  }
  if (cause instanceof ApplicationFailure) {
    if (cause.type === workerShutdown) {
      return { ...plain, family: 'LostWorker', message: 'The worker was shut down in the middle of the attempt.' };
    }
    const details = cause.details?.[0] as FailureDetails | undefined;
    const family = errorFamilies.find((known) => known === cause.type) ?? 'TransientError';
    if (details !== undefined) return { ...details, family };
    return { ...plain, family, message: cause.message };
  }
  return { ...plain, family: 'TransientError', message: error instanceof Error ? error.message : String(error) };
}

/** Lost workers cost no budget, but three in a row park the step: something about it may be killing them. */
export const lostWorkersBeforeParking = 3;
export const lostWorkerDelayMs = 1_000;

export function isFamily(family: AttemptFailure['family']): family is ErrorFamily {
  return family !== 'LostWorker' && family !== 'Cancelled';
}

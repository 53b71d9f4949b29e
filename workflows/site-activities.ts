/** The effects of a recovery site, each attempt scheduled once: retrying is the step runner's (design: law 3). */
import { proxyActivities } from '@temporalio/workflow';
import type { Recorded, RecoveryActivities } from '../activities/contract';
import { replicationQueue, siteQueue } from './messages';

/** Longer than any step may take; a dead worker is noticed by its missing heartbeats long before. */
const longestAttempt = '12h';
const heartbeatTimeout = '10s';

/**
 * For power-on where only so many machines boot at the same time: who waits for its turn waits among the sessions, so that those
 * whose turn it is find a place for their proof.
 */
export const waitingActivitiesAt = (siteId: string): Recorded<RecoveryActivities> =>
  activitiesAt(siteId, replicationQueue(siteId));

export function activitiesAt(siteId: string, taskQueue = siteQueue(siteId)): Recorded<RecoveryActivities> {
  return proxyActivities<Recorded<RecoveryActivities>>({
    taskQueue,
    startToCloseTimeout: longestAttempt,
    heartbeatTimeout,
    retry: { maximumAttempts: 1 },
    // Said although it is documented as the default: without it the wait ended at once (SDK 1.24.0, seen in a session's history).
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  });
}

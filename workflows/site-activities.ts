/** The effects of a recovery site, each attempt scheduled once: retrying is the step runner's (design: law 3). */
import { proxyActivities } from '@temporalio/workflow';
import type { Recorded, RecoveryActivities } from '../activities/contract';
import { siteQueue } from './messages';

/** Longer than any step may take; a dead worker is noticed by its missing heartbeats long before. */
const longestAttempt = '12h';
const heartbeatTimeout = '10s';

export function activitiesAt(siteId: string): Recorded<RecoveryActivities> {
  return proxyActivities<Recorded<RecoveryActivities>>({
    taskQueue: siteQueue(siteId),
    startToCloseTimeout: longestAttempt,
    heartbeatTimeout,
    retry: { maximumAttempts: 1 },
    // Said although it is documented as the default: without it the wait ended at once (SDK 1.24.0, seen in a session's history).
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  });
}

/** Short questions about other runs, asked of Temporal itself; who asks goes on without an answer. */
import { proxyActivities } from '@temporalio/workflow';
import type { HolderActivities } from '../../activities/contract';
import { journalQueue } from '../messages';

export const { findHolder, isRunning } = proxyActivities<HolderActivities>({
  taskQueue: journalQueue,
  startToCloseTimeout: '3s',
  scheduleToCloseTimeout: '6s',
  retry: { maximumAttempts: 2 },
});

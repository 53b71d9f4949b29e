/** For test/api/failing-runs: a recovery of another version, which cannot go on with what today's has begun. */
import { sleep } from '@temporalio/workflow';

export { replicationSession } from '../../../workflows/replication-session';

export async function pushButtonRecovery(): Promise<void> {
  await sleep(1);
}

/** A workflow for test/workflows/acts-in-one-task: what it does when it is decided depends on how long it has rested then. */
import { condition, proxyActivities, setHandler, sleep } from '@temporalio/workflow';
import { hearKnocks } from '../../../workflows/knocks';
import { decideUpdate } from '../../../workflows/messages';

const { work } = proxyActivities<{ work(): Promise<void> }>({ startToCloseTimeout: '1 minute' });

export async function restsAfterWork(): Promise<void> {
  let decidedAt: number | undefined;
  hearKnocks();
  setHandler(decideUpdate, ({ step, epoch, decision }) => {
    decidedAt = Date.now();
    return { runId: 'run', step, epoch, decision };
  });
  await work();
  const workedAt = Date.now();
  await condition(() => decidedAt !== undefined);
  if (decidedAt! - workedAt < 1_000) await sleep(10);
  else await work();
}

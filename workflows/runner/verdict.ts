/** A server's run as part of a plan: it says when it is proven, and waits for the plan's verdict on all of them together. */
import { condition, getExternalWorkflowHandle, setHandler } from '@temporalio/workflow';
import type { PartOf } from '../../model/order';
import { childProvenSignal, verdictSignal, type Verdict } from '../messages';
import { askPeople } from './attempts';
import { Interrupted, type Run } from './run';

export interface PlansVerdict {
  /** Resolves when the plan commits; a roll-back comes as an abort. */
  commit(step: string): Promise<void>;
}

/** Call before anything is done: the plan may want it undone at any time. */
export function listenToPlan(run: Run, plan: PartOf): PlansVerdict {
  let committed: Verdict | null = null;
  setHandler(verdictSignal, (verdict) => {
    if (verdict.verdict === 'commit') committed = verdict;
    else if (run.canAbort) run.abort(verdict.reason, verdict.by);
    else run.emit('noted', { message: 'The plan wanted this undone; it is being undone, final or over already.' });
  });
  return {
    async commit(step) {
      run.announce(step);
      if (!(await tell(plan.workflowId, run.order.runId))) return askInstead(run, step);
      await run.inScope(() => condition(() => committed !== null || run.interrupt !== null), true);
      if (run.interrupt !== null) throw new Interrupted();
      const { reason, by } = committed as unknown as Verdict;
      run.emit('step-done', { result: { reason } }, { step, by });
    },
  };
}

/** false: the plan is no more. */
async function tell(workflowId: string, runId: string): Promise<boolean> {
  try {
    await getExternalWorkflowHandle(workflowId).signal(childProvenSignal, { runId });
    return true;
  } catch {
    return false;
  }
}

async function askInstead(run: Run, step: string): Promise<void> {
  const question = 'Commit this server by itself, or roll it back.';
  const because = 'It is proven, and the plan that it belongs to was ended from outside Muster.';
  await askPeople(run, { step, item: null }, question, because, ['commit', 'roll-back']);
  run.emit('step-done', { result: null }, { step });
}

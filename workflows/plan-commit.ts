/** How a plan becomes final: by a decision, or by itself after the time that its runbook gives, unless people decide before. */
import { condition, patched } from '@temporalio/workflow';
import { formatDuration } from '../model/durations';
import type { PlanOrder } from '../model/plan';
import type { CommitPolicy } from '../model/runbook/runbook';
import { isException } from './plan-child';
import type { ChildRuns } from './plan-children';
import { provenWords } from './plan-standing';
import type { DecisionRequest } from './messages';
import type { Run } from './runner/run';
import * as steps from './runner/steps';

/** Asks people, unless another plan has the last word; then tells every server's run. */
export async function commitPlan(run: Run<PlanOrder>, children: ChildRuns, isPart: boolean): Promise<void> {
  const finished = await steps.step(run, 'commit', () => children.finish('commit', 'The plan is committed.'), {
    gate: async () => (isPart ? null : ask(run, children)),
    irrevocable: true,
  });
  if (isException(finished)) run.memory.set('commit', { value: finished, exception: true });
}

async function ask(run: Run<PlanOrder>, children: ChildRuns) {
  const policy = run.order.plan.commit;
  if (policy.kind === 'automatic') void decideInTime(run, policy);
  return {
    question: `Commit: the recovered servers are the ones from now on. Roll back: everything as before.${policyWords(policy)}`,
    because: `${provenWords(run, children)}.`,
    allowed: ['commit' as const, 'roll-back' as const],
  };
}

function policyWords(policy: CommitPolicy): string {
  if (policy.kind === 'decision') return '';
  const act = policy.act === 'commit' ? 'it commits' : 'it rolls back';
  return ` Without a decision within ${formatDuration(policy.afterMs)} ${act} by itself, as the runbook says.`;
}

/**
 * The runbook's own decision, recorded as the plan's. People's come first, also the half of another one that waits for a second pair of
 * eyes, or is just being looked up: then the clock waits until that is decided or taken back.
 */
async function decideInTime(
  run: Run<PlanOrder>,
  { act, afterMs }: Extract<CommitPolicy, { kind: 'automatic' }>,
): Promise<void> {
  const open = () => run.parkings.list().find(({ step, kind }) => step === 'commit' && kind === 'gate');
  await condition(() => open() !== undefined || run.interrupt !== null);
  const isOver = () => open() === undefined || run.interrupt !== null;
  // Asked again: the decision and the end of the time may come in one task, and the condition says that the time was first.
  if ((await condition(isOver, afterMs)) || isOver()) return;
  const isHalf = () => {
    const half = open()?.half ?? null;
    return run.halfAbort !== null || (half !== null && (half.decision !== act || half.checking === true));
  };
  if (isHalf() && patched('half-decisions-come-first')) {
    await condition(() => isOver() || !isHalf());
    if (isOver()) return;
  }
  const { epoch } = open()!;
  const reason = `Nobody decided within ${formatDuration(afterMs)}; the runbook says "${act}".`;
  const request: DecisionRequest = {
    ...{ step: 'commit', item: null, epoch, decision: act, reason, from: null, input: null },
    by: run.self,
  };
  run.parkings.settle(run.parkings.check(request), request);
  run.emit('decided', { epoch, decision: act, reason, from: null, input: null }, { step: 'commit', by: run.self });
  if (act === 'roll-back') run.raise({ kind: 'abort', reason, by: run.self });
}

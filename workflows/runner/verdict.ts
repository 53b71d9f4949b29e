/** A run as part of a plan: it says when it is proven and when it waits for people, and waits for the plan's verdict on all together. */
import { condition, getExternalWorkflowHandle, patched, setHandler } from '@temporalio/workflow';
import type { PartOf } from '../../model/order';
import {
  childGaveUpSignal,
  childProvenSignal,
  childWaitsSignal,
  verdictSignal,
  type ChildWaits,
  type Shown,
  type Verdict,
} from '../messages';
import { askPeople } from './attempts';
import { isRunning } from './holders';
import { laterReminder } from './reminders';
import { Interrupted, type Run, type RunOrder } from './run';

export interface PlansVerdict {
  /** Resolves when the plan commits, or in a rehearsal lets everything be cleaned up; a roll-back comes as an abort. */
  commit(step: string): Promise<void>;
}

/**
 * Call before anything is done: the plan may want it undone at any time. A procedure that goes back comes here again, and listens once.
 * `shown`: how well it is proven, asked when it says so.
 */
export function listenToPlan<O extends RunOrder>(run: Run<O>, plan: PartOf, shown: () => Shown): PlansVerdict {
  return (run.plansVerdict ??= listen(run, plan, shown));
}

function listen<O extends RunOrder>(run: Run<O>, plan: PartOf, shown: () => Shown): PlansVerdict {
  let committed: Verdict | null = null;
  // Asked once: an execution of an earlier version only listens, for good.
  const talks = patched('talks-with-its-plan');
  setHandler(verdictSignal, (verdict) => {
    if ((verdict.runId ?? run.order.runId) !== run.order.runId) return;
    if (verdict.verdict !== 'roll-back') committed = verdict;
    else if (run.canAbort && run.noWayBackFrom === null)
      run.abort(verdict.reason, verdict.by, verdict.gaveWay === true ? { gaveWay: true } : {});
    else
      run.emit('noted', {
        message: 'The plan wanted this undone; it is being undone or cleaned up, final or over already.',
      });
  });
  if (talks) {
    void tellWhatWaits(run, plan.workflowId);
    void tellThatItGaveUp(run, plan.workflowId);
  }
  return {
    async commit(step) {
      if (run.memory.has(step)) return;
      run.announce(step);
      const told = await tell(() =>
        getExternalWorkflowHandle(plan.workflowId).signal(childProvenSignal, {
          runId: run.order.runId,
          shown: shown(),
        }),
      );
      const isHere = (): boolean => committed !== null || run.interrupt !== null;
      if (!told || (talks && !(await comesFrom(run, plan, isHere)))) return askInstead(run, step);
      await condition(isHere);
      if (run.interrupt !== null) throw new Interrupted();
      const { reason, by } = committed as unknown as Verdict;
      run.memory.set(step, { value: null, exception: false });
      run.emit('step-done', { result: { reason } }, { step, by });
    },
  };
}

/** False: the plan is no more, and said nothing. Looked at as rarely as people are reminded, and not by signals, which fill its history. */
async function comesFrom<O extends RunOrder>(run: Run<O>, plan: PartOf, isHere: () => boolean): Promise<boolean> {
  for (let waitMs = run.order.reminderMs; ; waitMs = laterReminder(waitMs)) {
    if (await condition(isHere, waitMs)) return true;
    if (!(await isRunning({ workflowId: plan.workflowId }).catch(() => true))) return isHere();
  }
}

/**
 * One signal when something begins to wait and one when nothing does any more: 500 that stick at once are 500 signals. In an included
 * plan an undo may wait where something else did before, and the plan above has to know that.
 */
async function tellWhatWaits<O extends RunOrder>(run: Run<O>, workflowId: string): Promise<void> {
  const { runId } = run.order;
  const isUndo = (one: ChildWaits | null) => one && one.undo === true;
  let waits: ChildWaits | null = null;
  for (let n = 1; ; n += 1) {
    const before = waits;
    await condition(() => isUndo((waits = waitsOf(run))) !== isUndo(before));
    // Earlier versions told the first of both alone. By number, because one run may have done both.
    if (before !== null && waits !== null && !patched(`tells-of-undo-${n}`)) continue;
    const signal = () => getExternalWorkflowHandle(workflowId).signal(childWaitsSignal, { runId, waits });
    if (!(await tell(signal))) return;
  }
}

async function tellThatItGaveUp<O extends RunOrder>(run: Run<O>, workflowId: string): Promise<void> {
  await condition(() => run.hasGivenUp);
  if (!patched('tells-that-it-gave-up')) return;
  const { runId } = run.order;
  await tell(() => getExternalWorkflowHandle(workflowId).signal(childGaveUpSignal, { runId }));
}

const longestCause = 300;

/** The first thing that waits in it, or, in an included plan, in a run of that. */
function waitsOf<O extends RunOrder>(run: Run<O>): ChildWaits | null {
  const first = run.parkings.list()[0] ?? run.waitingChildren()[0];
  if (first === undefined) return null;
  const { step, item, kind, undo, since, cause } = first;
  return { step, item, kind, undo, since, cause: cause.slice(0, longestCause) };
}

/** false: the plan is no more. */
async function tell(signal: () => Promise<void>): Promise<boolean> {
  try {
    await signal();
    return true;
  } catch {
    return false;
  }
}

async function askInstead<O extends RunOrder>(run: Run<O>, step: string): Promise<void> {
  const question = 'Commit this by itself, or roll it back.';
  const because = 'It is proven, and the plan that it belongs to was ended from outside Muster.';
  await askPeople(run, { step, item: null }, question, because, ['commit', 'roll-back']);
  run.memory.set(step, { value: null, exception: false });
  run.emit('step-done', { result: null }, { step });
}

/** What people ask, decide and abort of a run: its handlers for their queries and updates, and for the knock before these. */
import { setHandler } from '@temporalio/workflow';
import { hearKnocks } from '../knocks';
import { abortUpdate, decideUpdate, liveRunQuery } from '../messages';
import {
  checkAbort,
  checkDecision,
  checkWithdrawAbort,
  takeAbort,
  takeDecision,
  withdrawAbort,
  type Taken,
} from './decisions';
import type { Run, RunOrder } from './run';

export function hearPeople<O extends RunOrder>(run: Run<O>): void {
  hearKnocks();
  setHandler(liveRunQuery, (asked) => run.view(asked?.from ?? 0));
  setHandler(
    decideUpdate,
    (request) => {
      const { step, epoch, decision } = request;
      return answered(takeDecision(run, request), (standing) => ({
        ...{ runId: run.order.runId, step, epoch, decision, standing },
      }));
    },
    { validator: (request) => void checkDecision(run, request) },
  );
  setHandler(
    abortUpdate,
    ({ reason, by, withdraw }) =>
      answered(withdraw === true ? withdrawAbort(run, reason, by) : takeAbort(run, reason, by), (standing) => ({
        ...{ accepted: true as const, standing: standing ?? (withdraw === true ? null : stillWaitingWords(run)) },
      })),
    {
      validator: ({ reason, by, withdraw }) =>
        withdraw === true ? checkWithdrawAbort(run, reason, by) : checkAbort(run, reason, by),
    },
  );
}

const mostNamed = 5;

/** What whoever aborts is told of the runs that are stuck in their clean-up: nothing else waits for them. Null: none is. */
function stillWaitingWords<O extends RunOrder>(run: Run<O>): string | null {
  const waiting = run.stillWaiting();
  if (waiting.length === 0) return null;
  const each = waiting
    .slice(0, mostNamed)
    .map(({ name, step, cause, runId }) => `${name} at ${step}: ${cause} (\`muster show ${runId}\`)`);
  const more = waiting.length > mostNamed ? `; and ${waiting.length - mostNamed} more` : '';
  return `It ends when these are clean, too; decide there: retry what is mended, or skip it and leave what is left. The rest is cleaned up meanwhile. ${each.join('; ')}${more}`;
}

/** At once where nobody had to be looked up: the order of what a history holds stays as it was. */
function answered<T>(taken: Taken, answer: (standing: string | null) => T): T | Promise<T> {
  return taken instanceof Promise ? taken.then(answer) : answer(taken);
}

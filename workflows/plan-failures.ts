/** What an attempt at a run of a plan comes to: its result as a step's, or the failure that people are told. */
import { ApplicationFailure } from '@temporalio/common';
import { patched, type CancellationScope } from '@temporalio/workflow';
import type { Outcome } from '../activities/contract';
import { formatDuration } from '../model/durations';
import type { ChildOrder } from './plan-orders';
import type { RunOutcome } from './runner/conduct';
import { findHolder } from './runner/holders';

export function recorded<T>(result: T, worker: string, startedMs: number): Outcome<T> {
  const now = Date.now();
  return { result, at: new Date(now).toISOString(), durationMs: now - startedMs, worker, evidence: [] };
}

export async function occupied(order: ChildOrder): Promise<ApplicationFailure> {
  const { name, workflowId } = order;
  const holder = await findHolder({ workflowId }).catch(() => null);
  const found =
    holder === null ? 'another run' : `run ${holder.runId}, started by ${holder.requestedBy} at ${holder.since}`;
  const look = holder === null ? `\`muster runs --server ${name}\`` : `\`muster show ${holder.runId}\``;
  return failed(
    `${name} is held by ${found}`,
    `Look at that run (${look}); when it has ended, or you have aborted it, retry. Or skip to go on without ${name}.${byItself(order)}`,
  );
}

const byItself = ({ name, dispensableMs }: Pick<ChildOrder, 'name' | 'dispensableMs'>): string =>
  dispensableMs === null
    ? ''
    : ` Without a decision within ${formatDuration(dispensableMs)} the plan goes on without ${name}.`;

export function endedBadly(
  order: Pick<ChildOrder, 'name' | 'dispensableMs'>,
  { runId, state, summary }: Pick<RunOutcome, 'runId' | 'state' | 'summary'>,
  next = `then retry: a new run is started. Or skip to go on without ${order.name}; or abort, which undoes the whole plan.`,
): ApplicationFailure {
  const { name } = order;
  return failed(
    `run ${runId} of ${name} ended as ${state}: ${summary}`,
    `Look at it (\`muster show ${runId}\`), mend what it names, ${next}${byItself(order)}`,
  );
}

export function failed(message: string, remedy: string): ApplicationFailure {
  const at = new Date(Date.now()).toISOString();
  const details = {
    ...{ family: 'OperatorError', message, remedy, detail: null },
    ...{ at, durationMs: 0, worker: null, evidence: [] },
  };
  return ApplicationFailure.create({ type: 'OperatorError', message, nonRetryable: true, details: [details] });
}

/** An abort that comes while `over` is waited for; a history of an earlier version waits for all of them. @throws CancelledFailure when the plan is aborted */
export const aborted = (scope: CancellationScope, over: Promise<unknown>): Promise<unknown> =>
  scope.cancelRequested.catch((error: unknown) => {
    if (patched('abort-reaches-clean-up')) throw error;
    return over;
  });

/** A person's acts on a running workflow: accepted or refused at once while a worker runs, else pending (design: law 4). */
import {
  abortUpdate,
  decideUpdate,
  type AbortRequest,
  type DecisionAccepted,
  type DecisionRequest,
} from '../../workflows/messages';
import type { TemporalContext } from '../temporal';
import { Problem } from '../problems';
import { sendUpdate } from './acts';
import { applicationFailure, asProblem, isNotFound, isUnanswered, isUpdateFailure } from './errors';
import type { Execution } from './recoveries';

export type UpdateAnswer<T> =
  | { readonly kind: 'accepted'; readonly value: T }
  /** `refusal` is the failure's type: a Refusal, or what the workflow says beside those. */
  | { readonly kind: 'refused'; readonly refusal: string; readonly message: string }
  /** No worker took it before the deadline. It may still act when one returns; the same id again is safe. */
  | { readonly kind: 'pending' }
  /** Temporal does not know it: the workflow is closed, or the id was never seen or was lost with the server. */
  | { readonly kind: 'unknown' };

export interface UpdateCalls {
  decide(execution: Execution, request: DecisionRequest, updateId: string): Promise<UpdateAnswer<DecisionAccepted>>;
  abort(execution: Execution, request: AbortRequest, updateId: string): Promise<UpdateAnswer<{ accepted: true }>>;
  /** What became of an act that was pending. Waits at most `waitMs`. */
  updateOutcome(execution: Execution, updateId: string, waitMs: number): Promise<UpdateAnswer<unknown>>;
}

export function updateCalls(context: TemporalContext): UpdateCalls {
  const handleOf = (execution: Execution) =>
    context.client.workflow.getHandle(execution.workflowId, execution.temporalRunId);
  return {
    decide: (execution, request, updateId) =>
      answerOf(context, context.updateDeadlineMs, () =>
        sendUpdate(handleOf(execution), decideUpdate, request, updateId),
      ),
    abort: (execution, request, updateId) =>
      answerOf(context, context.updateDeadlineMs, () =>
        sendUpdate(handleOf(execution), abortUpdate, request, updateId),
      ),
    updateOutcome: (execution, updateId, waitMs) =>
      answerOf(context, waitMs, () =>
        handleOf(execution).getUpdateHandle(updateId, { workflowRunId: execution.temporalRunId }).result(),
      ),
  };
}

/** Makes an update call and sorts its end; an unreachable Temporal is a Problem. */
export async function answerOf<T>(
  context: TemporalContext,
  deadlineMs: number,
  call: () => Promise<T>,
): Promise<UpdateAnswer<T>> {
  try {
    return { kind: 'accepted', value: await context.client.withDeadline(Date.now() + deadlineMs, call) };
  } catch (error) {
    // Nothing was sent.
    if (error instanceof Problem) throw error;
    if (isUpdateFailure(error)) {
      const failure = applicationFailure(error) ?? { type: 'unknown', message: error.cause?.message ?? error.message };
      return { kind: 'refused', refusal: failure.type, message: failure.message };
    }
    if (isNotFound(error)) return { kind: 'unknown' };
    if (isUnanswered(error)) return { kind: 'pending' };
    throw asProblem(error);
  }
}

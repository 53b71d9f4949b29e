/**
 * An interceptor that makes things come in one task, as they do where a worker was lost: a task that has only the first of them fails,
 * until Temporal has the second, too. What they are, the task queue says.
 */
import { workflowInfo, type WorkflowInterceptors } from '@temporalio/workflow';

/** That a run has started, and what it or people say then. */
export const lateStarts = 'late-starts';
/** What became of the second of two decisions, and the end of the time for them. */
export const lateClocks = 'late-clocks';

type Activation = Parameters<NonNullable<Internals['activate']>>[0]['activation'];
type Internals = NonNullable<WorkflowInterceptors['internals']>[number];
type Job = NonNullable<Activation['jobs']>[number];

export const interceptors = (): WorkflowInterceptors => {
  const { taskQueue } = workflowInfo();
  let updates = 0;
  let isOver = false;
  const isTooEarly = (jobs: readonly Job[]): boolean => {
    const has = (kind: keyof Job): boolean => jobs.some((job) => job[kind] != null);
    updates += jobs.filter((job) => job.doUpdate != null).length;
    if (taskQueue === lateStarts)
      return has('resolveChildWorkflowExecutionStart') && !has('signalWorkflow') && !has('doUpdate');
    if (updates >= 2 && has('fireTimer')) isOver = true;
    return updates >= 2 && !isOver && has('resolveActivity');
  };
  return {
    internals: [
      {
        activate(input, next) {
          if (isTooEarly(input.activation.jobs ?? [])) throw new Error('More is to come.');
          next(input);
        },
      },
    ],
  };
};

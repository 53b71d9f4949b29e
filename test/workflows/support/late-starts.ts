/** An interceptor for test/workflows/early-signals: a task that says of a run no more than that it has started fails. */
import type { WorkflowInterceptors } from '@temporalio/workflow';

export const interceptors = (): WorkflowInterceptors => ({
  internals: [
    {
      activate(input, next) {
        const { jobs } = input.activation;
        const hasStarted = jobs?.some((job) => job.resolveChildWorkflowExecutionStart != null);
        if (hasStarted && !jobs?.some((job) => job.signalWorkflow != null)) throw new Error('It has not spoken yet.');
        next(input);
      },
    },
  ],
});

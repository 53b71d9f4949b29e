/** Signals to a run that may be no more. */
import { CancellationScope, getExternalWorkflowHandle, type SignalDefinition } from '@temporalio/workflow';

/**
 * Whether the run was there to be told. What the handler of a signal begins is in no scope of the run's own: without one, Temporal's
 * own cancel, which a run takes as an abort, would look like a run that is no more.
 */
export function reaches<T>(workflowId: string, signal: SignalDefinition<[T]>, message: T): Promise<boolean> {
  return CancellationScope.nonCancellable(() =>
    getExternalWorkflowHandle(workflowId)
      .signal(signal, message)
      .then(
        () => true,
        () => false,
      ),
  );
}

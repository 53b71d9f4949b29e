/** Workflows by their ids: started where none runs, and looked at. */
import {
  WorkflowExecutionAlreadyStartedError,
  type WorkflowExecutionDescription,
  type WorkflowHandleWithFirstExecutionRunId,
  type WorkflowStartOptions,
} from '@temporalio/client';
import { workflowQueue } from '../../workflows/messages';
import type { TemporalContext } from '../temporal';
import { callTemporal, isNotFound } from './errors';

/** undefined: one of this id runs already, or, with `REJECT_DUPLICATE`, ran before. @throws Problem `part-unavailable` */
export async function startOnce(
  context: TemporalContext,
  workflowType: string,
  options: Omit<WorkflowStartOptions, 'taskQueue' | 'workflowIdConflictPolicy'> & { readonly args: unknown[] },
): Promise<WorkflowHandleWithFirstExecutionRunId | undefined> {
  const all = { taskQueue: workflowQueue, workflowIdReusePolicy: 'ALLOW_DUPLICATE', ...options } as const;
  try {
    return await callTemporal(context, () =>
      context.client.workflow.start(workflowType, { ...all, workflowIdConflictPolicy: 'FAIL' }),
    );
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return undefined;
    throw error;
  }
}

/** The latest of this id, or the one of that run; undefined: Temporal has none. @throws Problem `part-unavailable` */
export async function described(
  context: TemporalContext,
  workflowId: string,
  temporalRunId?: string,
): Promise<WorkflowExecutionDescription | undefined> {
  try {
    return await callTemporal(context, () => context.client.workflow.getHandle(workflowId, temporalRunId).describe());
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Somebody may have paused it at Temporal: it has not ended then. */
export const isOpen = ({ status }: { readonly status: { readonly name: string } }): boolean =>
  status.name === 'RUNNING' || status.name === 'PAUSED';

/** Who holds a server now, and whether a run is there: locks are workflow ids, so Temporal itself knows, also with Postgres down. */
import { Context } from '@temporalio/activity';
import { WorkflowNotFoundError } from '@temporalio/common';
import type { HolderActivities } from './contract';

export function createHolderActivities(): HolderActivities {
  return {
    async findHolder({ workflowId }) {
      const { status, memo, startTime } = await describe(workflowId);
      const { runId, requestedBy } = memo ?? {};
      if (status.name !== 'RUNNING' || typeof runId !== 'string') return null;
      return {
        runId,
        requestedBy: typeof requestedBy === 'string' ? requestedBy : 'nobody known',
        since: startTime.toISOString(),
      };
    },
    async isRunning({ workflowId }) {
      try {
        return (await describe(workflowId)).status.name === 'RUNNING';
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return false;
        throw error;
      }
    },
  };
}

const describe = (workflowId: string) => Context.current().client.workflow.getHandle(workflowId).describe();

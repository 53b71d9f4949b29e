/** Who holds a server now: its lock is its workflow id, so Temporal itself knows, also with Postgres down. */
import { Context } from '@temporalio/activity';
import type { HolderActivities } from './contract';

export function createHolderActivities(): HolderActivities {
  return {
    async findHolder({ workflowId }) {
      const { status, memo, startTime } = await Context.current().client.workflow.getHandle(workflowId).describe();
      const { runId, requestedBy } = memo ?? {};
      if (status.name !== 'RUNNING' || typeof runId !== 'string') return null;
      return {
        runId,
        requestedBy: typeof requestedBy === 'string' ? requestedBy : 'nobody known',
        since: startTime.toISOString(),
      };
    },
  };
}

/** All runs that Temporal still runs: what is known of them while Postgres is away. */
import { planWorkflowType, recoveryWorkflowType } from '../../workflows/messages';
import type { TemporalContext } from '../temporal';
import { callTemporal } from './errors';
import { toExecution, type Execution } from './recoveries';

export interface OpenRunCalls {
  /** The newest, at most so many. */
  openRuns(tenantId: string, most: number): Promise<Execution[]>;
}

export function openRunCalls(context: TemporalContext): OpenRunCalls {
  const query = `ExecutionStatus = 'Running' AND WorkflowType IN ('${recoveryWorkflowType}', '${planWorkflowType}')`;
  return {
    openRuns: (tenantId, most) =>
      callTemporal(context, async () => {
        const found: Execution[] = [];
        for await (const info of context.client.workflow.list({ query })) {
          const execution = toExecution(info);
          if (execution?.workflowId.startsWith(`${tenantId}/`) === true) found.push(execution);
          if (found.length >= most) break;
        }
        return found;
      }),
  };
}

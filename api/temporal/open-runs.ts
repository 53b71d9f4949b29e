/** All runs that Temporal still runs: what is known of them while Postgres is away. */
import { planWorkflowType, recoveryWorkflowType, rehearsalWorkflowId } from '../../workflows/messages';
import type { TemporalContext } from '../temporal';
import { callTemporal } from './errors';
import { listOfTenant, type Execution } from './recoveries';

export interface OpenRunCalls {
  /** At most so many: plans, then recoveries, then rehearsals, the newest of each first. */
  openRuns(tenantId: string, most: number): Promise<Execution[]>;
}

/** Temporal cannot sort them: so many times as many are looked at. */
const looked = 5;

export function openRunCalls(context: TemporalContext): OpenRunCalls {
  const open = (type: string, tenantId: string, most: number): Promise<Execution[]> =>
    listOfTenant(context, tenantId, `ExecutionStatus = 'Running' AND WorkflowType = '${type}'`, most);
  return {
    openRuns: (tenantId, most) =>
      callTemporal(context, async () => {
        const plans = await open(planWorkflowType, tenantId, most);
        const runs = await open(recoveryWorkflowType, tenantId, most * looked);
        const isRehearsal = ({ workflowId, memo }: Execution): boolean =>
          workflowId === rehearsalWorkflowId(tenantId, memo.serverId);
        const [rehearsals, recoveries] = [runs.filter(isRehearsal), runs.filter((one) => !isRehearsal(one))];
        return [...plans, ...recoveries, ...rehearsals].slice(0, most);
      }),
  };
}

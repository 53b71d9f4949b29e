/** Starting plans, finding them again, and holding them. A plan is found by its run id, which is in its workflow id. */
import { defaultPayloadConverter } from '@temporalio/common';
import type { PlanOrder } from '../../model/plan';
import {
  holdUpdate,
  planCleanUpWorkflowId,
  planCleanUpWorkflowType,
  planWorkflowId,
  planWorkflowType,
  priorityOf,
  type CleanUpOfServer,
  type HoldRequest,
} from '../../workflows/messages';
import { payloadCodec } from '../../wire/payloads';
import { planTaskTimeoutMs } from '../../model/plan-task';
import type { TemporalContext } from '../temporal';
import { Problem } from '../problems';
import { sendUpdate } from './acts';
import { callTemporal } from './errors';
import { described, startOnce } from './executions';
import { searchNewest, toExecution, type Execution, type RecoveryMemo } from './recoveries';
import { answerOf, type UpdateAnswer } from './updates';

export interface PlanCalls {
  /** Starts the plan, or says that a run of this id was started before. */
  startPlan(order: PlanOrder, memo: RecoveryMemo): Promise<{ kind: 'started' } | { kind: 'seen' }>;
  /** Running or closed. */
  findPlan(tenantId: string, runId: string): Promise<Execution | undefined>;
  /** A plan that was started under this key, among the newest; for when Postgres cannot be asked. */
  findPlanByKey(tenantId: string, key: string): Promise<Execution | undefined>;
  /** The plan as it was started, from the first event of its history and no other. @throws Problem `not-found` without one */
  planOrder(execution: Execution): Promise<PlanOrder>;
  /** Starts the clean-ups of a plan's rehearsals, one after the other, or says which run already. */
  startPlanCleanUp(
    planRunId: string,
    cleanUps: readonly CleanUpOfServer[],
  ): Promise<{ kind: 'started' } | { kind: 'runs'; runs: readonly CleanUpRun[] }>;
  hold(execution: Execution, request: HoldRequest, updateId: string): Promise<UpdateAnswer<{ accepted: true }>>;
}

/** A clean-up of one of its servers. */
export interface CleanUpRun {
  readonly runId: string;
  readonly serverName: string;
  /** The run that it cleans up after. */
  readonly rehearsal: string;
}

export const cleanUpRun = ({ order }: Pick<CleanUpOfServer, 'order'>): CleanUpRun => ({
  ...{ runId: order.runId, serverName: order.server.name, rehearsal: order.cleansUp ?? '' },
});

const newestLooked = 200;

/** Among the newest. */
const planWithKey = (context: TemporalContext, tenantId: string, key: string): Promise<Execution | undefined> =>
  searchNewest(context, {
    ...{ tenantId, atMost: newestLooked, query: `WorkflowType = '${planWorkflowType}'` },
    isMeant: ({ memo }) => memo.idempotencyKey === key,
  });

export function planCalls(context: TemporalContext): PlanCalls {
  const { client } = context;
  return {
    async startPlan(order, memo) {
      const started = await startOnce(context, planWorkflowType, {
        workflowId: planWorkflowId(order.tenantId, order.runId),
        args: [order],
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
        workflowTaskTimeout: planTaskTimeoutMs(order),
        memo: { ...memo },
        priority: priorityOf(order.mode),
        staticSummary: `${order.mode} of runbook ${order.runbook.name}`,
      });
      return { kind: started === undefined ? 'seen' : 'started' };
    },

    async findPlan(tenantId, runId) {
      const found = await described(context, planWorkflowId(tenantId, runId));
      return found && toExecution(found);
    },

    findPlanByKey: (tenantId, key) => planWithKey(context, tenantId, key),

    async planOrder({ workflowId, temporalRunId: runId }) {
      const { namespace } = client.options;
      const page = { namespace, execution: { workflowId, runId }, maximumPageSize: 1 };
      const { history } = await callTemporal(context, () => client.workflowService.getWorkflowExecutionHistory(page));
      const started = history?.events?.[0]?.workflowExecutionStartedEventAttributes;
      const [payload] = await payloadCodec.decode((started?.input?.payloads ?? []).slice(0, 1));
      if (payload === undefined) throw new Problem('not-found', `Temporal has no order of workflow ${workflowId}`);
      return defaultPayloadConverter.fromPayload<PlanOrder>(payload);
    },

    async startPlanCleanUp(planRunId, cleanUps) {
      const workflowId = planCleanUpWorkflowId(cleanUps[0]!.order.tenantId, planRunId);
      const started = await startOnce(context, planCleanUpWorkflowType, {
        ...{ workflowId, args: [{ cleanUps }] },
        memo: { runs: cleanUps.map(cleanUpRun) },
        priority: priorityOf('rehearsal'),
        staticSummary: 'clean-up of the rehearsals of a runbook',
      });
      if (started !== undefined) return { kind: 'started' };
      const other = await described(context, workflowId);
      return { kind: 'runs', runs: (other?.memo?.['runs'] ?? []) as readonly CleanUpRun[] };
    },

    hold: (execution, request, updateId) =>
      answerOf(context, context.updateDeadlineMs, () =>
        sendUpdate(
          client.workflow.getHandle(execution.workflowId, execution.temporalRunId),
          holdUpdate,
          request,
          updateId,
        ),
      ),
  };
}

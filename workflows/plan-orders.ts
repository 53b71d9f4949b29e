/** What a plan starts: for each server, and for each runbook that it includes, a run of its own with its order and its lock. */
import { uuid4, workflowInfo } from '@temporalio/workflow';
import { runbooksOf } from '../model/access';
import type { RecoveryOrder } from '../model/order';
import type { PartOfPlan, PlanOrder, ServerOfPlan } from '../model/plan';
import type { NodeId } from '../model/runbook/graph';
import { areLimits } from '../model/runbook/places';
import { lockOf, planWorkflowId, planWorkflowType, recoveryWorkflowType } from './messages';
import { planTaskTimeoutMs } from '../model/plan-task';

/** How a run is started; `runId` of an earlier try of the same is never used again. */
export interface ChildOrder {
  readonly id: NodeId;
  /** As people know it: `app01`, `runbook shop`. */
  readonly name: string;
  /** The plan can do without it: how long people are waited for before it counts as failed. null: it cannot. */
  readonly dispensableMs: number | null;
  readonly workflowType: string;
  readonly workflowId: string;
  /** Absent: as long as Temporal gives any task. */
  readonly workflowTaskTimeout?: number;
  readonly runId: string;
  readonly args: readonly [RecoveryOrder | PlanOrder];
  /** By which the API finds a run, and says whose it is, also with Postgres down (api/temporal/recoveries.ts). */
  readonly memo: Readonly<Record<string, string>>;
}

/** In a rehearsal the order may say less than the runbook says of the server. */
export const dispensableMsOf = ({ failure, order: { giveUpAfterMs = Infinity } }: ServerOfPlan): number | null =>
  failure.kind === 'optional' ? Math.min(failure.giveUpAfterMs, giveUpAfterMs) : null;

export function orderOfServer(plan: PlanOrder, server: ServerOfPlan, isFirst: boolean): ChildOrder {
  const { name, order } = server;
  const runId = isFirst ? order.runId : newRunId();
  const dispensableMs = dispensableMsOf(server);
  const giveUp = dispensableMs === null ? {} : { giveUpAfterMs: dispensableMs };
  return {
    ...{ id: `server:${name}`, name, dispensableMs, runId },
    workflowType: recoveryWorkflowType,
    workflowId: lockOf(order),
    args: [{ ...order, runId, partOf: partOf(plan), ...giveUp }],
    memo: memoOf(order, runId),
  };
}

export function orderOfPart(plan: PlanOrder, { name, order }: PartOfPlan, isFirst: boolean): ChildOrder {
  const own = isFirst ? order : renewed(order);
  const part = { ...own, partOf: partOf(plan), ...placesFrom(plan, name, own.runId) };
  const { runId, tenantId, requestedBy } = part;
  return {
    ...{ id: `include:${name}`, name: `runbook ${name}`, dispensableMs: null, runId },
    workflowType: planWorkflowType,
    workflowId: planWorkflowId(tenantId, runId),
    workflowTaskTimeout: planTaskTimeoutMs(part),
    args: [part],
    memo: { runId, runbook: name, requestedBy: requestedBy.actor.name },
  };
}

const partOf = (plan: PlanOrder): NonNullable<PlanOrder['partOf']> => ({
  runId: plan.runId,
  workflowId: workflowInfo().workflowId,
  runbooks: runbooksOf(plan),
});

/** Whoever is asked knows of the limits of all between. */
function placesFrom({ plan, placesFrom: from }: PlanOrder, name: string, runId: string): Pick<PlanOrder, 'placesFrom'> {
  if (from !== undefined) return { placesFrom: { ...from, path: [...from.path, name], runs: [...from.runs, runId] } };
  if (!areLimits(plan.limits)) return {};
  return { placesFrom: { workflowId: workflowInfo().workflowId, path: [name], runs: [runId] } };
}

/** Of a plan that is started again each run is a new one, with a record of its own. */
function renewed(order: PlanOrder): PlanOrder {
  return {
    ...order,
    runId: newRunId(),
    servers: order.servers.map((server) => ({ ...server, order: { ...server.order, runId: newRunId() } })),
    parts: order.parts.map((part) => ({ ...part, order: renewed(part.order) })),
  };
}

function memoOf({ server, target, requestedBy }: RecoveryOrder, runId: string): Record<string, string> {
  const { id: serverId, name: serverName } = server;
  return { runId, serverId, serverName, machineName: target.machineName, requestedBy: requestedBy.actor.name };
}

/** A UUIDv7 of the workflow's own clock and randomness, so that a replay makes the same (RFC 9562, section 5.7). */
function newRunId(): string {
  const time = Date.now().toString(16).padStart(12, '0');
  const random = uuid4();
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(15)}`;
}

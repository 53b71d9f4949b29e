/** Starting recoveries and finding them again. A server's lock is its workflow id (design: law 5). */
import { WorkflowFailedError } from '@temporalio/client';
import { isUuidV7, timeOfUuidV7 } from '../../model/ids';
import type { Mode, RecoveryOrder } from '../../model/order';
import {
  cleanUpWorkflowId,
  cleanUpWorkflowType,
  lockOf,
  priorityOf,
  recoveryWorkflowId,
  recoveryWorkflowType,
  rehearsalWorkflowId,
} from '../../workflows/messages';
import type { TemporalContext } from '../temporal';
import { asProblem, callTemporal, isNotFound, isUnanswered } from './errors';
import { described, isOpen, startOnce } from './executions';

/** Kept with the workflow, so that a run is found and a key is honoured while Postgres is down. */
export interface RecoveryMemo {
  readonly runId: string;
  readonly idempotencyKey: string;
  readonly contentSha256: string;
  readonly serverId: string;
  readonly serverName: string;
  readonly machineName: string;
  readonly requestedBy: string;
  /** Of a plan that a person started: which text runs, and how many servers it has. `serverName` is its runbook's name then. */
  readonly runbook?: { readonly version: number; readonly sha256: string; readonly servers: number };
}

/** One execution in Temporal, pinned, so that an act on an old run never reaches a newer one of the same server. */
export interface Execution {
  readonly workflowId: string;
  readonly temporalRunId: string;
  readonly running: boolean;
  readonly startedAt: string;
  readonly memo: RecoveryMemo;
}

export interface RecoveryCalls {
  /** Starts the order's run, also the clean-up of a rehearsal, or says which run holds its lock. */
  startRecovery(
    order: RecoveryOrder,
    memo: RecoveryMemo,
  ): Promise<{ kind: 'started' } | { kind: 'occupied'; other: Execution | undefined }>;
  /** Waits until the execution is closed, at most so long; says whether it is. */
  untilClosed(execution: Execution, atMostMs: number): Promise<boolean>;
  /** The newest execution of that mode (default: recovery) for the server, running or closed. */
  latestRecovery(tenantId: string, serverId: string, mode?: Mode): Promise<Execution | undefined>;
  /** Whether the newest execution of this workflow id is this run, and is not closed. */
  runs(workflowId: string, runId: string): Promise<boolean>;
  /** The execution of a run; `serverId` where it is known saves a search. */
  findRecovery(tenantId: string, runId: string, serverId?: string): Promise<Execution | undefined>;
}

const newestLooked = 500;
/** Between a run id's own time and Temporal's start time; covers clocks that differ. */
const clockToleranceMs = 600_000;

/** Among those that started since the run's id was made. */
function searchRun(context: TemporalContext, tenantId: string, runId: string): Promise<Execution | undefined> {
  const since = new Date(timeOfUuidV7(runId) - clockToleranceMs).toISOString();
  const types = `'${recoveryWorkflowType}', '${cleanUpWorkflowType}'`;
  const query = `WorkflowType IN (${types}) AND StartTime >= '${since}'`;
  return searchNewest(context, { tenantId, query, atMost: newestLooked, isMeant: ({ memo }) => memo.runId === runId });
}

interface Search {
  readonly tenantId: string;
  /** In the words of Temporal's visibility; of all tenants. */
  readonly query: string;
  /** How many are looked at, the newest first. */
  readonly atMost: number;
  readonly isMeant: (execution: Execution) => boolean;
}

/** The tenant's newest execution that is meant; undefined where those that were looked at have none. */
export function searchNewest(
  context: TemporalContext,
  { tenantId, query, atMost, isMeant }: Search,
): Promise<Execution | undefined> {
  return callTemporal(context, async () => {
    let looked = 0;
    for await (const info of context.client.workflow.list({ query })) {
      const execution = toExecution(info);
      if (execution?.workflowId.startsWith(`${tenantId}/`) && isMeant(execution)) return execution;
      if (++looked >= atMost) return undefined;
    }
    return undefined;
  });
}

/** The tenant's executions that `query` finds, at most so many. Call within a deadline. */
export async function listOfTenant(
  { client }: Pick<TemporalContext, 'client'>,
  tenantId: string,
  query: string,
  most: number,
): Promise<Execution[]> {
  const found: Execution[] = [];
  for await (const info of client.workflow.list({ query })) {
    const execution = toExecution(info);
    if (execution?.workflowId.startsWith(`${tenantId}/`) === true) found.push(execution);
    if (found.length >= most) break;
  }
  return found;
}

export function recoveryCalls(context: TemporalContext): RecoveryCalls {
  const { client } = context;
  const known = new Map<string, { workflowId: string; temporalRunId: string }>();

  async function describe(workflowId: string, temporalRunId?: string): Promise<Execution | undefined> {
    const found = await described(context, workflowId, temporalRunId);
    return found && toExecution(found);
  }

  function remember(execution: Execution): Execution {
    known.set(execution.memo.runId, execution);
    return execution;
  }

  return {
    async startRecovery(order, memo) {
      const { cleansUp, tenantId, mode, server } = order;
      const workflowId = cleansUp === undefined ? lockOf(order) : cleanUpWorkflowId(tenantId, cleansUp);
      const handle = await startOnce(context, cleansUp === undefined ? recoveryWorkflowType : cleanUpWorkflowType, {
        workflowId,
        args: [order],
        memo: { ...memo },
        priority: priorityOf(mode),
        staticSummary: `${cleansUp === undefined ? mode : 'clean-up of a rehearsal'} of ${server.name}`,
      });
      if (handle === undefined) return { kind: 'occupied', other: await describe(workflowId) };
      known.set(order.runId, { workflowId, temporalRunId: handle.firstExecutionRunId });
      return { kind: 'started' };
    },

    async untilClosed({ workflowId, temporalRunId }, atMostMs) {
      const handle = client.workflow.getHandle(workflowId, temporalRunId, { followRuns: false });
      try {
        await client.withDeadline(Date.now() + atMostMs, () => handle.result());
        return true;
      } catch (error) {
        // How it ended is not asked here; a deadline says that it has not.
        if (error instanceof WorkflowFailedError || isNotFound(error)) return true;
        if (isUnanswered(error)) return false;
        throw asProblem(error);
      }
    },

    latestRecovery: (tenantId, serverId, mode = 'recovery') =>
      describe((mode === 'recovery' ? recoveryWorkflowId : rehearsalWorkflowId)(tenantId, serverId)),

    async runs(workflowId, runId) {
      const latest = await describe(workflowId);
      return latest?.running === true && latest.memo.runId === runId;
    },

    async findRecovery(tenantId, runId, serverId) {
      const place = known.get(runId);
      if (place) return describe(place.workflowId, place.temporalRunId);
      if (serverId !== undefined) {
        for (const idOf of [recoveryWorkflowId, rehearsalWorkflowId]) {
          const latest = await describe(idOf(tenantId, serverId));
          if (latest?.memo.runId === runId) return remember(latest);
        }
      }
      if (!isUuidV7(runId)) return undefined;
      const found = await searchRun(context, tenantId, runId);
      return found && remember(found);
    },
  };
}

/** undefined: not one of ours. */
export function toExecution(info: {
  workflowId: string;
  runId: string;
  status: { name: string };
  startTime: Date;
  memo?: Record<string, unknown>;
}): Execution | undefined {
  const memo = info.memo;
  if (typeof memo?.runId !== 'string') return undefined;
  const runbook = memo.runbook as RecoveryMemo['runbook'];
  const text = (key: Exclude<keyof RecoveryMemo, 'runbook'>): string =>
    typeof memo[key] === 'string' ? memo[key] : '';
  return {
    workflowId: info.workflowId,
    temporalRunId: info.runId,
    running: isOpen(info),
    startedAt: info.startTime.toISOString(),
    memo: {
      runId: memo.runId,
      idempotencyKey: text('idempotencyKey'),
      contentSha256: text('contentSha256'),
      serverId: text('serverId'),
      serverName: text('serverName'),
      machineName: text('machineName'),
      requestedBy: text('requestedBy'),
      ...(runbook === undefined ? {} : { runbook }),
    },
  };
}

/** The servers' runs of a plan: started, told what to do, and waited for. */
import {
  ApplicationFailure,
  CancellationScope,
  condition,
  getExternalWorkflowHandle,
  ParentClosePolicy,
  setHandler,
  startChild,
  uuid4,
  workflowInfo,
  WorkflowIdReusePolicy,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { Outcome } from '../activities/contract';
import type { RecoveryOrder } from '../model/order';
import { runbooksOf } from '../model/access';
import type { PlanOrder, ServerOfPlan } from '../model/plan';
import type { Effect } from '../model/steps';
import { childProvenSignal, recoveryWorkflowId, recoveryWorkflowType, verdictSignal, workflowQueue } from './messages';
import type { RunOutcome } from './runner/conduct';

interface Child {
  readonly runId: string;
  readonly workflowId: string;
  proven: boolean;
  /** Null while it runs. */
  outcome: RunOutcome | null;
}

export interface ServerRecovered {
  readonly runId: string;
  readonly state: RunOutcome['state'] | 'proven';
}

export class ChildRuns {
  /** The latest run of each server. */
  private readonly byServer = new Map<string, Child>();

  constructor(private readonly order: PlanOrder) {
    setHandler(childProvenSignal, ({ runId }) => {
      for (const child of this.byServer.values()) if (child.runId === runId) child.proven = true;
    });
  }

  count(state: 'proven' | 'succeeded'): number {
    return [...this.byServer.values()].filter((child) =>
      state === 'proven' ? child.proven : child.outcome?.state.startsWith('succeeded') === true,
    ).length;
  }

  /** One attempt: a run of its own, until it is proven. A server that is optional may fail; that is a result, too. */
  async recover(server: ServerOfPlan, effect: Effect): Promise<Outcome<ServerRecovered>> {
    const startedMs = Date.now();
    const child = await this.start(server, effect.attempt === 1 ? server.order.runId : newRunId());
    await condition(() => child.proven || child.outcome !== null);
    const state = child.outcome?.state ?? 'proven';
    if (child.outcome !== null && !(state === 'failed' && server.failure.kind === 'optional')) {
      throw failed(
        `run ${child.runId} of ${server.name} ended as ${state}: ${child.outcome.summary}`,
        `Look at it (\`muster show ${child.runId}\`), mend what it names, then retry: a new run is started. Or skip to go on without ${server.name}.`,
      );
    }
    return recorded({ runId: child.runId, state }, child.workflowId, startedMs);
  }

  /** Tells the server's run to undo, and waits until it has. */
  async undo(server: string): Promise<Outcome<void>> {
    const startedMs = Date.now();
    const child = this.byServer.get(server);
    if (child === undefined) return recorded(undefined, server, startedMs);
    await this.tell(child, 'roll-back', 'The plan that it belongs to is undone.');
    await condition(() => child.outcome !== null);
    if (child.outcome!.state.startsWith('succeeded')) {
      throw failed(
        `${server} cannot be undone: its run ${child.runId} is final`,
        'Shut the machine down by hand if it must go, then skip this undo with that reason.',
      );
    }
    return recorded(undefined, child.workflowId, startedMs);
  }

  async commit(): Promise<Outcome<null>> {
    const startedMs = Date.now();
    const open = [...this.byServer.values()].filter((child) => child.outcome === null);
    await Promise.all(open.map((child) => this.tell(child, 'commit', 'The plan is committed.')));
    await condition(() => open.every((child) => child.outcome !== null));
    return recorded(null, workflowInfo().workflowId, startedMs);
  }

  /** @throws ApplicationFailure `OperatorError` when another run holds the server. */
  private async start(server: ServerOfPlan, runId: string): Promise<Child> {
    const { order } = server;
    const { workflowId: planId } = workflowInfo();
    const workflowId = recoveryWorkflowId(order.tenantId, order.server.id);
    const giveUp = server.failure.kind === 'optional' ? { giveUpAfterMs: server.failure.giveUpAfterMs } : {};
    const args = [
      {
        ...order,
        runId,
        partOf: { runId: this.order.runId, workflowId: planId, runbooks: runbooksOf(this.order) },
        ...giveUp,
      },
    ];
    // Shielded: an abort of the plan tells the run to undo itself, it does not cancel it.
    return CancellationScope.nonCancellable(async () => {
      const options = {
        workflowId,
        taskQueue: workflowQueue,
        args,
        parentClosePolicy: ParentClosePolicy.ABANDON,
        workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
        memo: memoOf(order, runId),
      };
      const handle = await startChild(recoveryWorkflowType, options).catch((error: unknown) => {
        throw error instanceof WorkflowExecutionAlreadyStartedError ? occupied(server.name) : error;
      });
      const child: Child = { runId, workflowId, proven: false, outcome: null };
      this.byServer.set(server.name, child);
      const lost: RunOutcome = { runId, state: 'aborted', summary: 'It was ended outside Muster.' };
      handle.result().then(
        (outcome) => (child.outcome = outcome as RunOutcome),
        () => (child.outcome = lost),
      );
      return child;
    });
  }

  private async tell(child: Child, verdict: 'commit' | 'roll-back', reason: string): Promise<void> {
    if (child.outcome !== null) return;
    const { runId, requestedBy } = this.order;
    const actor = { kind: 'workflow' as const, id: runId, name: `plan ${this.order.runbook.name}` };
    const by = { actor, authMethod: 'internal', requestId: requestedBy.requestId, address: '' };
    // One that has just ended cannot be told any more; that it has ended is seen by who waits for it.
    await getExternalWorkflowHandle(child.workflowId)
      .signal(verdictSignal, { verdict, reason, by })
      .catch(() => undefined);
  }
}

/** By which the API finds a run, and says whose it is, also with Postgres down (api/temporal/recoveries.ts). */
function memoOf({ server, target, requestedBy }: RecoveryOrder, runId: string): Record<string, string> {
  const { id: serverId, name: serverName } = server;
  return { runId, serverId, serverName, machineName: target.machineName, requestedBy: requestedBy.actor.name };
}

function recorded<T>(result: T, worker: string, startedMs: number): Outcome<T> {
  const now = Date.now();
  return { result, at: new Date(now).toISOString(), durationMs: now - startedMs, worker, evidence: [] };
}

const occupied = (server: string) =>
  failed(
    `${server} is being recovered by another run already`,
    `Find it (\`muster runs --server ${server}\`), abort it or wait for its end, then retry; or skip to go on without ${server}.`,
  );

function failed(message: string, remedy: string): ApplicationFailure {
  const at = new Date(Date.now()).toISOString();
  const details = {
    family: 'OperatorError',
    message,
    remedy,
    detail: null,
    at,
    durationMs: 0,
    worker: null,
    evidence: [],
  };
  return ApplicationFailure.create({ type: 'OperatorError', message, nonRetryable: true, details: [details] });
}

/** A UUIDv7 of the workflow's own clock and randomness, so that a replay makes the same (RFC 9562, section 5.7). */
function newRunId(): string {
  const time = Date.now().toString(16).padStart(12, '0');
  const random = uuid4();
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(15)}`;
}

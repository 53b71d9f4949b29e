/**
 * What a run of a runbook is asked to do, complete: the text is pinned by its hash, and every server's own order is in it, so that
 * with Postgres gone this is all that the plan needs (design: law 5).
 */
import type { PartOf, Provenance, RecoveryOrder, RetryPolicy, Intent, Mode } from './order';
import type { FailureRule, Gate, Limits, Runbook } from './runbook/runbook';

/** Which text runs; an edit makes another version and never touches this run. */
export interface PinnedRunbook {
  readonly name: string;
  readonly title: string;
  readonly version: number;
  readonly sha256: string;
}

export interface PlanOrder {
  readonly runId: string;
  readonly tenantId: string;
  readonly coreId: string;
  readonly procedure: 'plan';
  readonly mode: Mode;
  readonly intent: Intent;
  readonly runbook: PinnedRunbook;
  readonly partOf?: PartOf;
  readonly plan: Pick<Runbook, 'waves'> & {
    readonly limits: Pick<Limits, 'atOnce' | 'sites' | 'datastores'>;
    readonly gates: Readonly<Record<string, Pick<Gate, 'title' | 'question' | 'in'>>>;
  };
  readonly servers: readonly ServerOfPlan[];
  readonly retry: RetryPolicy;
  readonly reminderMs: number;
  readonly lostAt: string | null;
  readonly requestedAt: string;
  readonly requestedBy: Provenance;
  readonly reason: string;
}

export interface ServerOfPlan {
  readonly name: string;
  readonly wave: string;
  readonly after: readonly string[];
  readonly failure: FailureRule;
  readonly datastore: string | null;
  readonly order: RecoveryOrder;
}

/** The record's first event has the plan without the servers' orders: each of them opens a record of its own. */
export type PlanHeader = Omit<PlanOrder, 'servers'> & {
  readonly servers: readonly (Omit<ServerOfPlan, 'order'> & { readonly runId: string; readonly serverId: string })[];
};

export function planHeader(order: PlanOrder): PlanHeader {
  return {
    ...order,
    servers: order.servers.map(({ order: { runId, server }, ...rest }) => ({ ...rest, runId, serverId: server.id })),
  };
}

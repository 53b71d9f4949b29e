/**
 * What a run of a runbook is asked to do, complete: the text is pinned by its hash, and every server's own order is in it, so that
 * with Postgres gone this is all that the plan needs (design: law 5).
 */
import { sitesOf } from './access';
import { everyServerOf } from './every-server';
import type { PartOf, Provenance, RecoveryOrder, RetryPolicy, Intent, Mode } from './order';
import type { FailureRule, Runbook } from './runbook/runbook';

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
  /** Of an included runbook that is started while the plan that includes it is held: nothing of it is started before that goes on. */
  readonly startsHeld?: PlanHeld;
  /** Of an included runbook, where a plan above has limits: whom it asks for places. Absent: its own limits alone hold. */
  readonly placesFrom?: PlacesFrom;
  /** The text, read; what it says of servers is in their orders, and what it includes has become `parts`. */
  readonly plan: RunbookOfPlan;
  readonly servers: readonly ServerOfPlan[];
  /** Included runbooks, each a plan of its own with its own run. */
  readonly parts: readonly PartOfPlan[];
  readonly retry: RetryPolicy;
  readonly reminderMs: number;
  /**
   * Rehearsals: after it has waited for people for so long, at a step or a gate of its own or of one of its runs, it undoes everything
   * and has failed. Absent, as in a recovery and in orders of earlier versions: it waits without end.
   */
  readonly giveUpAfterMs?: number;
  readonly lostAt: string | null;
  readonly requestedAt: string;
  readonly requestedBy: Provenance;
  readonly reason: string;
}

/** The topmost plan above that has limits, and the way down from it: names of included runbooks and their runs, this one last. */
export interface PlacesFrom {
  readonly workflowId: string;
  readonly path: readonly string[];
  readonly runs: readonly string[];
}

/** What a plan tells those that it includes. */
export interface PlanHeld {
  /** Rises: of two that cross, the higher one is true. */
  readonly n: number;
  readonly held: boolean;
  readonly reason: string;
  readonly by: Provenance;
}

export type RunbookOfPlan = Pick<
  Runbook,
  | 'direction'
  | 'tier'
  | 'objectives'
  | 'waves'
  | 'limits'
  | 'gates'
  | 'scripts'
  | 'notify'
  | 'access'
  | 'rehearsal'
  | 'commit'
>;

export interface PartOfPlan {
  /** The included runbook's name: what others come after. */
  readonly name: string;
  readonly after: readonly string[];
  readonly order: PlanOrder;
}

export interface ServerOfPlan {
  readonly name: string;
  readonly wave: string;
  readonly after: readonly string[];
  readonly failure: FailureRule;
  readonly datastore: string | null;
  readonly order: RecoveryOrder;
}

/** Where people hold a plan. */
export type HoldPlace =
  | { readonly kind: 'run' }
  /** Of an included runbook: the plan that includes it, and which is held as a whole. */
  | { readonly kind: 'plan' }
  | { readonly kind: 'wave'; readonly name: string }
  | { readonly kind: 'server'; readonly name: string };

/** One text for one place, to tell places apart. */
export const placeKey = (of: HoldPlace): string => ('name' in of ? `${of.kind} ${of.name}` : of.kind);

/** As people are told of it: `the run`, `wave data`. */
export function placeText(of: HoldPlace): string {
  if ('name' in of) return `${of.kind} ${of.name}`;
  return of.kind === 'run' ? 'the run' : 'the plan that includes it';
}

/** The record's first event has the plan without the servers' orders: each of them opens a record of its own. */
export type PlanHeader = Omit<PlanOrder, 'servers' | 'parts'> & {
  /** Recovery sites of its servers, with those of what it includes. */
  readonly sites: readonly string[];
  readonly servers: readonly ServerOfHeader[];
  readonly parts: readonly PartOfHeader[];
};

export interface ServerOfHeader extends Omit<ServerOfPlan, 'order'> {
  readonly runId: string;
  readonly serverId: string;
  readonly tier: number;
  readonly siteId: string;
}

export interface PartOfHeader extends Omit<PartOfPlan, 'order'> {
  readonly runId: string;
  readonly sha256: string;
  readonly version: number;
  /** With those of what it includes itself. */
  readonly serverCount: number;
  /** Its own, and what it includes itself; absent in records of earlier versions. */
  readonly servers?: readonly ServerOfHeader[];
  readonly parts?: readonly PartOfHeader[];
}

export function planHeader(order: PlanOrder): PlanHeader {
  return {
    ...order,
    sites: sitesOf(order),
    servers: order.servers.map(serverOfHeader),
    parts: order.parts.map(partOfHeader),
  };
}

/** As earlier versions wrote it: what the included runbooks consist of stands in their own records only. */
export const withoutServersOfParts = (header: PlanHeader): PlanHeader => ({
  ...header,
  parts: header.parts.map(({ servers: _servers, parts: _parts, ...rest }) => rest),
});

const serverOfHeader = ({ order: { runId, server, target }, ...rest }: ServerOfPlan): ServerOfHeader => ({
  ...rest,
  runId,
  serverId: server.id,
  tier: server.tier,
  siteId: target.siteId,
});

const partOfHeader = ({ order: part, ...rest }: PartOfPlan): PartOfHeader => ({
  ...rest,
  runId: part.runId,
  sha256: part.runbook.sha256,
  version: part.runbook.version,
  serverCount: serverCountOf(part),
  servers: part.servers.map(serverOfHeader),
  parts: part.parts.map(partOfHeader),
});

/** Servers of the plan and of all that it includes, as its record names them. */
export const serversOfHeader = ({ servers, parts }: Pick<PartOfHeader, 'servers' | 'parts'>): ServerOfHeader[] => [
  ...(servers ?? []),
  ...(parts ?? []).flatMap(serversOfHeader),
];

/** Servers of the plan and of all that it includes. */
export const serverCountOf = (plan: PlanOrder): number => everyServerOf(plan).length;

/** The same of its record, also of one of an earlier version, which has the servers of its parts as numbers only. */
export const serverCountOfHeader = ({ servers, parts }: Pick<PlanHeader, 'servers' | 'parts'>): number =>
  servers.length + parts.reduce((sum, { serverCount }) => sum + serverCount, 0);

/** What is kept in Postgres, as the rest of the product sees it. Nothing outside store/ knows SQL. */
import type { PastTimes } from '../model/estimate/past';
import type { Places } from '../model/access';
import type { RunEvent } from '../model/events';
import type { RecoveryOrder, Mode, Provenance } from '../model/order';
import type { NotificationRule } from '../model/runbook/runbook';
import type { AccessScope, Person, Role } from '../model/people';
import type { ChildRun } from '../model/plan-view/child-run';
import type { ServerSpec } from '../model/server';
import type { RunState } from '../model/steps';
import type { WaitingItem } from '../model/stuck';
import type { Rehearsal } from '../model/readiness/verified';
import type { JournalRow } from '../record/row';
import type { Risks } from './risks-contract';
import type { Notifications } from './notifications-contract';

/** While there is one tenant and one core: the ids that stand in every table, workflow id and path. */
export const defaultScope = { tenantId: 'main', coreId: 'main' } as const;

export { roles, type Person, type Role } from '../model/people';

/** One line of `muster runs`; written by the journal's activity, never by the workflow. */
export interface RunRow {
  readonly runId: string;
  /** The plan that it belongs to. */
  readonly parentRunId: string | null;
  readonly procedure: string;
  readonly mode: Mode;
  readonly serverId: string;
  /** Of a plan: the runbook's name. */
  readonly serverName: string;
  /** null: no plan. */
  readonly runbook: string | null;
  readonly runbookVersion: number | null;
  readonly runbookSha256: string | null;
  readonly state: RunState;
  readonly currentStep: string | null;
  readonly stuckSince: string | null;
  readonly requestedBy: string;
  readonly startedAt: string;
  readonly closedAt: string | null;
}

/** Runs that are not closed and are at the same place: for metrics. */
export interface OpenRuns {
  readonly procedure: string;
  readonly state: RunState;
  readonly currentStep: string | null;
  readonly count: number;
  /** Since when the longest of them is stuck. */
  readonly stuckSince: string | null;
}

/** A journal row, format 1 (design section 7): record/row.ts has the format. */
export type { JournalRow } from '../record/row';

export interface Batch {
  readonly tenantId: string;
  readonly coreId: string;
  readonly runId: string;
  readonly parentRunId: string | null;
  readonly flush: number;
  readonly events: readonly RunEvent[];
}

/** Who ends a record, when (UTC), and what stands in it then. */
export interface Closing {
  readonly by: Provenance;
  readonly at: string;
  readonly summary: string;
}

export interface Journal {
  /** Idempotent by (run, flush); numbers the rows; updates the run's row in the same transaction. */
  append(batch: Batch): Promise<{ lastSequence: number; lastHash: string }>;
  /**
   * Ends the record of a run that no workflow will end, as failed; a plan's carries the hashes of its runs, so they go first.
   * @returns false: it was closed already, or there is none. Appending to it is refused from then on.
   */
  close(runId: string, closing: Closing): Promise<boolean>;
  /** Rows after a sequence number, oldest first. */
  rows(runId: string, after?: number, limit?: number): Promise<JournalRow[]>;
  /** One row into the installation's own chain: what was refused at the door. */
  refuse(event: RunEvent): Promise<void>;
  /** The same for what people did outside any run. */
  note(event: RunEvent): Promise<void>;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Opaque; absent on the last page. */
  readonly next?: string;
}

export interface RunFilter {
  readonly state?: RunState;
  readonly serverId?: string;
  /** Plans of this runbook. */
  readonly runbook?: string;
  readonly parentRunId?: string;
  /** Only runs that belong to no plan: plans themselves, and runs of single servers. */
  readonly topLevel?: boolean;
  /** Only what a role with these holds at. */
  readonly scopes?: readonly AccessScope[];
  readonly limit: number;
  readonly after?: string;
}

export interface RunCounts {
  readonly parentRunId: string;
  readonly state: RunState;
  readonly count: number;
}

export interface Runs {
  list(filter: RunFilter): Promise<Page<RunRow>>;
  get(runId: string): Promise<RunRow | undefined>;
  /** Where a run is; undefined: no such run, or one of an earlier version, whose first event says it. */
  places(runId: string): Promise<Places | undefined>;
  /** The direct children of plans, by state; of a server that had several runs the latest counts. */
  counts(planRunIds: readonly string[]): Promise<RunCounts[]>;
  /** All runs below a plan, oldest first, those of included runbooks, too. */
  below(planRunId: string): Promise<ChildRun[]>;
  /** What the rows of runs keep of their events, by id; null: it is of an earlier version; absent: no such run. */
  facts(runIds: readonly string[]): Promise<ReadonlyMap<string, ChildRun['facts']>>;
  /** All runs that are not closed, counted. */
  open(): Promise<OpenRuns[]>;
  /** Those that are neither closed nor being undone, and whose objectives are their own: of plans, and of servers without one; and Postgres' time. */
  watched(): Promise<{
    readonly at: string;
    readonly runs: readonly { readonly runId: string; readonly parentRunId: string | null }[];
  }>;
}

/** Who was told of something that waits, and when first. */
export interface Told {
  readonly to: string;
  readonly at: string;
}

export interface WaitingRow extends WaitingItem {
  readonly told: readonly Told[];
}

/** What waits for people, of all runs; computed with the journal. */
export interface Parkings {
  /** Most urgent first: recovery before rehearsal, stuck before gate, tier, then who has waited longest. */
  list(filter: {
    readonly site?: string;
    readonly runbook?: string;
    readonly mode?: Mode;
    /** Id of a person. */
    readonly claimedBy?: string;
    readonly unclaimed?: boolean;
    /** Only what a role with these holds at. */
    readonly scopes?: readonly AccessScope[];
    readonly limit: number;
    readonly after?: string;
  }): Promise<Page<WaitingRow> & { readonly total: number }>;
}

export interface Servers {
  save(server: ServerSpec): Promise<void>;
  list(): Promise<ServerSpec[]>;
  find(idOrName: string): Promise<ServerSpec | undefined>;
  remove(id: string): Promise<void>;
}

/** A person, and whether nobody has taken their tokens away. */
export interface PersonNow extends Person {
  readonly mayEnter: boolean;
}

export interface Tokens {
  /** Creates person and token; the token's text is returned once and stored as SHA-256. */
  issue(
    person: { name: string; role: Role; scopes?: readonly AccessScope[] },
    expiresAt: string | null,
  ): Promise<{ person: Person; token: string; tokenId: string }>;
  /** undefined: unknown, expired or revoked. */
  verify(token: string): Promise<{ person: Person; tokenId: string; expiresAt: string | null } | undefined>;
  list(): Promise<
    { tokenId: string; person: Person; createdAt: string; expiresAt: string | null; revokedAt: string | null }[]
  >;
  revoke(tokenId: string): Promise<void>;
  /** Those of these ids that are known, as they are now. */
  people(ids: readonly string[]): Promise<PersonNow[]>;
}

export interface IdempotencyKeys {
  /** The answer given before for this key; other content under the same key: OperatorError. */
  remember(
    key: string,
    contentSha256: string,
    answer: { runId: string },
  ): Promise<{ runId: string; seenBefore: boolean }>;
}

export interface NewRunbook {
  readonly name: string;
  /** As it was written; its SHA-256 is what runs pin. */
  readonly text: string;
  readonly title: string;
  readonly tier: number;
  /** Names of the runbooks that it contains. */
  readonly includes: readonly string[];
  readonly importedBy: string;
}

export interface StoredRunbook extends NewRunbook {
  /** From 1, by name. */
  readonly version: number;
  readonly sha256: string;
  readonly importedAt: string;
}

/** A version without its text, which may be megabytes. */
export type RunbookVersion = Omit<StoredRunbook, 'text'>;

export interface SiteSeen {
  readonly siteId: string;
  /** When a worker last asked for its work, UTC. */
  readonly lastPollAt: string;
  /** null: it has one. */
  readonly absentSince: string | null;
}

export interface SitesSeen {
  all(): Promise<SiteSeen[]>;
  /**
   * Keeps when a worker was last seen; null: Temporal knows of none. `isSilent`: there was no other poll for so long that it has
   * none. People are told, once, and again when it has one.
   */
  saw(siteId: string, lastPollAt: string | null, isSilent: boolean): Promise<SiteSeen>;
}

/** Immutable versions. */
export interface Runbooks {
  /** The newest text again is the version that it is; an earlier one becomes a new version, `sameAs` the last that had it. */
  import(runbook: NewRunbook): Promise<{ runbook: StoredRunbook; seenBefore: boolean; sameAs: number | null }>;
  /** The newest version of each, by name. */
  latest(): Promise<StoredRunbook[]>;
  /** The same without their texts. */
  index(): Promise<RunbookVersion[]>;
  /** Without a version the newest. */
  find(name: string, version?: number): Promise<StoredRunbook | undefined>;
  /** Newest first, without their texts. */
  versions(name: string): Promise<RunbookVersion[]>;
}

/** Computed with the journal from the events of rehearsals. */
export interface Rehearsals {
  /**
   * Rehearsals of the runbook that are closed, newest first, each with the last run of every server: those of this text, the
   * newest that succeeded with another, and the newest of all.
   */
  closed(runbook: string, sha256: string): Promise<Rehearsal[]>;
  /** Runs that are not closed and have one of these servers; a plan, where no run of the server itself is open, has all of its own. */
  holders(serverIds: readonly string[]): Promise<Pick<RunRow, 'runId' | 'mode' | 'serverName'>[]>;
  /** That one did not start: into the installation's own chain, and told. The same (runbook, at) again changes nothing. */
  skip(skipped: {
    readonly runbook: string;
    readonly at: string;
    readonly because: string;
    readonly by: Provenance;
    /** Who wanted it out of its turn; null: its time had come. */
    readonly askedBy: string | null;
    /** null, or none that names the occasion: those of the installation. */
    readonly rules: readonly NotificationRule[] | null;
  }): Promise<void>;
}

/** How long past runs took, for what is expected of the next. */
export interface RunTimes {
  /** The newest runs of each of these servers, and of each of these sites; all together newest first. */
  past(of: {
    readonly procedure: string;
    readonly serverIds: readonly string[];
    readonly siteIds: readonly string[];
  }): Promise<PastTimes[]>;
}

export interface Store {
  readonly times: RunTimes;
  readonly notifications: Notifications;
  readonly sites: SitesSeen;
  readonly runbooks: Runbooks;
  readonly rehearsals: Rehearsals;
  readonly risks: Risks;
  readonly journal: Journal;
  readonly runs: Runs;
  readonly parkings: Parkings;
  readonly servers: Servers;
  readonly tokens: Tokens;
  readonly idempotency: IdempotencyKeys;
  /** The order of a run, from its first event. */
  order(runId: string): Promise<RecoveryOrder | undefined>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

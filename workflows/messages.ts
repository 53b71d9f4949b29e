/** How people and other processes talk to running workflows: names, arguments, answers. The API imports only this file. */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { CorrectableInput, Provenance, RecoveryOrder } from '../model/order';
import type { HoldPlace, PlanHeld } from '../model/plan';
import type { RunState, DecisionKind } from '../model/steps';
import type { SessionState } from '../model/replica';
import type { RunEvent } from '../model/events';
import type { HalfDecision, Standing } from '../model/waiting';

/** Types of refusal: `ApplicationFailure.type` of a rejected update. */
export const refusals = [
  'NotParked',
  'WrongStep',
  'StaleParking',
  'UnknownDecision',
  'NotAllowed',
  'NoReason',
  'AlreadyDecided',
  'BadInput',
  'Closed',
] as const;
export type Refusal = (typeof refusals)[number];

export interface DecisionRequest {
  readonly step: string;
  /** Disk id where the step has an item per disk; null otherwise. */
  readonly item: string | null;
  /** The parking that this answers: `Parking.epoch`. */
  readonly epoch: number;
  readonly decision: DecisionKind;
  readonly reason: string;
  /** `retry` and `provide`: go back to this earlier step and run from there. */
  readonly from: string | null;
  readonly input: CorrectableInput | null;
  readonly by: Provenance;
}

export interface DecisionAccepted {
  readonly runId: string;
  readonly step: string;
  readonly epoch: number;
  readonly decision: DecisionKind;
  /** What it still waits for: other approvals, a second pair of eyes. Null or absent: it has taken effect. */
  readonly standing?: string | null;
}

/** One thing that waits for a person. */
export interface Parking extends Standing {
  readonly epoch: number;
  readonly step: string;
  readonly item: string | null;
  readonly title: string;
  readonly kind: 'stuck' | 'gate';
  readonly undo: boolean;
  readonly since: string;
  readonly cause: string;
  readonly remedy: string;
  readonly allowed: readonly DecisionKind[];
  readonly provides: readonly string[];
}

export interface LiveRun {
  readonly runId: string;
  readonly state: RunState;
  readonly parkings: readonly Parking[];
  /** The events of the run so far, flushed to the journal or not, from the one asked for: as many as one answer carries. */
  readonly events: readonly RunEvent[];
  /** Where to ask on; null or absent (earlier versions): these are the last. */
  readonly next?: number | null;
  readonly unflushed: number;
  /** An abort that needs four eyes and has two. */
  readonly halfAbort?: HalfDecision | null;
  /** Of a plan: those of its runs that wait for people. */
  readonly waitingChildren?: readonly WaitingChild[];
}

export interface AbortRequest {
  readonly reason: string;
  readonly by: Provenance;
  /** Takes back one's own abort while it waits for a second pair of eyes. */
  readonly withdraw?: true;
}

/** In the failure of a query that came before the run's own task (workflows/early-queries.ts): to be asked again. */
export const askedTooEarly = 'Asked before the run had taken up what has happened to it. Ask again.';

/** Comes before each update of people (api/temporal/acts.ts says what it is for). */
export const knockSignal = defineSignal('knock');

/** People act here (design: law 4). Refused by the validator with a Refusal as type. */
export const decideUpdate = defineUpdate<DecisionAccepted, [DecisionRequest]>('decide');
export const abortUpdate = defineUpdate<{ accepted: true; standing?: string | null }, [AbortRequest]>('abort');
/** `from`: the number of events that the caller has already. */
export const liveRunQuery = defineQuery<LiveRun, [{ readonly from: number }?]>('liveRun');

export interface SessionView {
  readonly serverId: string;
  readonly state: SessionState;
  readonly heldBy: string | null;
  readonly lastError: string | null;
  readonly since: string;
  /** Where the replica is. Absent: told by an earlier version. */
  readonly recoverySiteId?: string;
}

export interface RemovalRequest {
  readonly reason: string;
  readonly by: Provenance;
  /** Only the session that replicates to this site is meant: another one may have taken its place. */
  readonly ofSite?: string;
  /** The replica stays, because the recovered machine stands on it; nothing keeps it up to date any more. */
  readonly keepReplica?: boolean;
}

export const pauseSessionUpdate = defineUpdate<SessionView, [{ reason: string; by: Provenance }]>('pauseSession');
export const resumeSessionUpdate = defineUpdate<SessionView, [{ reason: string; by: Provenance }]>('resumeSession');
export const removeSessionUpdate = defineUpdate<SessionView, [RemovalRequest]>('removeSession');
export const sessionQuery = defineQuery<SessionView>('session');

/** From a server's run to its plan: it is proven, and waits for the plan's verdict. Machines talk by signals, people by updates. */
export const childProvenSignal = defineSignal<[{ readonly runId: string; readonly shown?: Shown }]>('childProven');
/** How well: what whoever decides on the plan has to know of it. Names as people know them; of included runbooks `network/dns01`. */
export interface Shown {
  /** Servers that stand without a proof, because people skipped it. */
  readonly unproven: readonly string[];
  /** What an included plan went on without, by decision; what it gave up. */
  readonly leftOut: readonly string[];
  readonly givenUp: readonly string[];
  /** What else was not done, in words: `app01 (preflight skipped)`. */
  readonly exceptions: readonly string[];
}
/** What of a run waits for people: the first of what does. */
export interface ChildWaits {
  readonly step: string;
  readonly item: string | null;
  readonly kind: Parking['kind'];
  /** It is being undone, and cannot be. Absent: told by an earlier version. */
  readonly undo?: boolean;
  readonly since: string;
  readonly cause: string;
}

/** One of a plan's runs, of which something waits for people. */
export interface WaitingChild extends ChildWaits {
  readonly name: string;
  readonly runId: string;
}

/** From a server's run to its plan: people were waited for as long as it may wait, and it is undone now. */
export const childGaveUpSignal = defineSignal<[{ readonly runId: string }]>('childGaveUp');

/** From a server's run to its plan, when something of it begins to wait for people, also to be undone, and when nothing does any more. */
export const childWaitsSignal =
  defineSignal<[{ readonly runId: string; readonly waits: ChildWaits | null }]>('childWaits');

/**
 * From a plan to a run of it. roll-back is possible at any time; commit, and in a rehearsal clean-up, once it is proven.
 */
export interface Verdict {
  readonly verdict: 'commit' | 'clean-up' | 'roll-back';
  /** Of which run: another one may have the server by the time that it is heard. Absent: told by an earlier version. */
  readonly runId?: string;
  readonly reason: string;
  readonly by: Provenance;
  /** With roll-back: the whole rehearsal gives way to a recovery. */
  readonly gaveWay?: true;
}
export const verdictSignal = defineSignal<[Verdict]>('verdict');

/** People hold a plan, or let it go on. Refused by the validator with a Refusal as type. */
export interface HoldRequest {
  readonly act: 'hold' | 'go-on';
  readonly of: HoldPlace;
  readonly reason: string;
  readonly by: Provenance;
}
export const holdUpdate = defineUpdate<{ accepted: true }, [HoldRequest]>('hold');

/** From a plan to those that it includes, when people hold it as a whole, and when they let it go on. */
export const planHeldSignal = defineSignal<[PlanHeld]>('planHeld');

/**
 * From an included plan to the topmost plan above it that has limits, which gives places within the limits of every plan between
 * them: what may start but for a place, and what has done with its own. By names of its servers.
 *
 * Nothing is lost when one is: a plan that cannot be told is no more, and then the included one goes on alone, within its own limits.
 */
export const placesAskedSignal = defineSignal<[PlacesAsked]>('placesAsked');
export interface PlacesAsked {
  readonly from: { readonly runId: string; readonly workflowId: string };
  /** From below the plan that is asked down to the one that asks: names of included runbooks, and their runs. */
  readonly path: readonly string[];
  readonly runs: readonly string[];
  /** Rises: what comes a second time, or late, is not followed. */
  readonly n: number;
  /** From now on these want a place. */
  readonly wants: readonly string[];
  /** These have and want none any more. */
  readonly leaves: readonly string[];
  /** Runs of what it includes that are over: what they have and want is free. */
  readonly over: readonly string[];
}

/** To the plan that asked. */
export const placesGivenSignal = defineSignal<[PlacesGiven]>('placesGiven');
export interface PlacesGiven {
  /** `n` of the last that was heard from it: a place that it gave back since is not meant. */
  readonly heard: number;
  /** These have a place until they leave it. */
  readonly servers: readonly string[];
  /** The plan between them has been ended outside Muster: nobody is asked any more. */
  readonly alone: boolean;
}

/** To a server's rehearsal, from a recovery of the same server: it ends and cleans up, so that the recovery never waits for it. */
export const yieldToSignal = defineSignal<[{ readonly runId: string; readonly by: Provenance }]>('yieldTo');

export const recoveryWorkflowType = 'pushButtonRecovery';
export const sessionWorkflowType = 'replicationSession';
/**
 * How long Temporal waits for the worker that has a workflow in memory before any other may take its task: workflows go on
 * 5-7 s after a worker was killed with 2 s, not 13-15 (measured).
 *
 * Queries should be given up sooner. One that a lost worker did not answer goes to another worker after this time, also
 * while a task of the same workflow is still in flight at the lost one, and would run ahead of the history
 * (workflows/early-queries.ts refuses that).
 */
export const stickyTimeoutMs = 2_000;

export const workflowQueue = 'muster';
export const journalQueue = 'journal';
export const siteQueue = (siteId: string): string => `site:${siteId}`;
/** A session's cycles hold a slot for as long as the server is protected: they have slots of their own, so that they can never starve a recovery. */
export const replicationQueue = (siteId: string): string => `site:${siteId}:replication`;

/** A server's lock is its workflow id in Temporal: one live recovery at a time. */
export const recoveryWorkflowId = (tenantId: string, serverId: string): string => `${tenantId}/recovery/${serverId}`;
/** Rehearsals have locks of their own: one at a time for a server, and never in the way of its recovery. */
export const rehearsalWorkflowId = (tenantId: string, serverId: string): string => `${tenantId}/rehearsal/${serverId}`;
/** The lock that an order takes. */
export const lockOf = (order: Pick<RecoveryOrder, 'mode' | 'tenantId' | 'server'>): string =>
  (order.mode === 'recovery' ? recoveryWorkflowId : rehearsalWorkflowId)(order.tenantId, order.server.id);
/** A rehearsal is cleaned up alone once at a time, whatever its server does meanwhile. */
export const cleanUpWorkflowType = 'rehearsalCleanUp';
export const cleanUpWorkflowId = (tenantId: string, runId: string): string => `${tenantId}/rehearsal-clean-up/${runId}`;
/** The same for all servers of a plan, one after the other. */
export const planCleanUpWorkflowType = 'planCleanUp';
/** One of them; the order has `cleansUp`. */
export interface CleanUpOfServer {
  readonly order: RecoveryOrder;
  readonly memo: Readonly<Record<string, unknown>>;
}
export const planCleanUpWorkflowId = (tenantId: string, runId: string): string => `${tenantId}/plan-clean-up/${runId}`;
/** Temporal's own: smaller goes first, 3 is what nobody chose. Activities and runs of servers inherit it. */
export const priorityOf = (mode: RecoveryOrder['mode']): { readonly priorityKey: number } => ({
  priorityKey: mode === 'recovery' ? 2 : 4,
});
export const planWorkflowType = 'plan';
export const planWorkflowId = (tenantId: string, runId: string): string => `${tenantId}/plan/${runId}`;
export const sessionWorkflowId = (tenantId: string, serverId: string): string => `${tenantId}/replication/${serverId}`;

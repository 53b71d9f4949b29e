/**
 * The stuck list: everything that waits for people, of all runs, as the on-call engineer needs it. An item follows the events
 * of its run, from the moment when it begins to wait to the one when it is over.
 */
import type { RunEvent } from './events';
import type { Mode } from './order';
import { projectRun, type RunProjection } from './run-projection';
import type { DecisionKind } from './steps';
import type { Standing } from './waiting';
import { foldStanding } from './waiting-fold';

/** second-eyes: an abort of the run that somebody has asked for and a second person has not yet. */
export type WaitingKind = 'stuck' | 'gate' | 'second-eyes';

/** Of the run that it belongs to. */
export interface RunFactsOfWaiting {
  readonly runId: string;
  /** The plan that the run is part of. */
  readonly planRunId: string | null;
  readonly procedure: string;
  readonly mode: Mode;
  /** Of a plan: the name of its runbook. */
  readonly serverName: string;
  readonly tier: number;
  /** Recovery sites and, the outermost first, the runbooks that it is part of. */
  readonly sites: readonly string[];
  readonly runbooks: readonly string[];
}

export interface WaitingItem extends RunFactsOfWaiting, Standing {
  /** Names the waiting in its run; 0: the run itself. */
  readonly epoch: number;
  readonly step: string | null;
  readonly item: string | null;
  readonly kind: WaitingKind;
  readonly undo: boolean;
  readonly since: string;
  readonly cause: string;
  /** What to do; for a gate, the question. */
  readonly remedy: string;
  readonly allowed: readonly DecisionKind[];
  readonly reminders: number;
}

/** Most urgent first: recovery before rehearsal, stuck before what only waits for a decision. */
export const urgencyOf = ({ mode, kind }: Pick<WaitingItem, 'mode' | 'kind'>): number =>
  (mode === 'recovery' ? 0 : 2) + (kind === 'stuck' ? 0 : 1);

export function byUrgency(a: WaitingItem, b: WaitingItem): number {
  const keys = (one: WaitingItem): (string | number)[] => [urgencyOf(one), one.tier, one.since, one.runId, one.epoch];
  const others = keys(b);
  for (const [at, key] of keys(a).entries()) if (key !== others[at]) return key < others[at]! ? -1 : 1;
  return 0;
}

/** The item after an event that concerns it; undefined: the event opens none, or ends it. */
export function nextItem(
  run: RunFactsOfWaiting,
  before: WaitingItem | undefined,
  event: RunEvent,
): WaitingItem | undefined {
  switch (event.kind) {
    case 'parked': {
      const { epoch, undo, failure, remedy, allowed } = event.data;
      const cause = failure.message;
      return { ...opened(run, event), epoch, kind: 'stuck', undo, cause, remedy, allowed };
    }
    case 'gate-opened': {
      const { epoch, because: cause, question: remedy, allowed, gate = null } = event.data;
      return { ...opened(run, event), epoch, kind: 'gate', undo: false, cause, remedy, allowed, gate };
    }
    case 'reminded':
      return before && { ...before, reminders: before.reminders + 1 };
    case 'approved':
      return before === undefined && event.data.epoch === 0 ? halfAbort(run, event) : standing(before, event);
    case 'approval-withdrawn':
      return event.data.epoch === 0 ? undefined : standing(before, event);
    case 'claimed':
    case 'released':
    case 'escalated':
      return standing(before, event);
    default:
      return before;
  }
}

/** Which item an event is about, by its epoch; null: none, or all. */
export function epochOf(event: RunEvent): number | null {
  switch (event.kind) {
    case 'parked':
    case 'gate-opened':
    case 'reminded':
    case 'approved':
    case 'approval-withdrawn':
    case 'escalated':
    case 'claimed':
    case 'released':
    case 'decided':
      return event.data.epoch;
    default:
      return null;
  }
}

const standing = (before: WaitingItem | undefined, event: RunEvent): WaitingItem | undefined =>
  before && { ...before, ...foldStanding(before, event) };

function opened(run: RunFactsOfWaiting, { step, item, at }: RunEvent) {
  const { runId, planRunId, procedure, mode, serverName, tier, sites, runbooks } = run;
  const facts = { runId, planRunId, procedure, mode, serverName, tier, sites, runbooks };
  return { ...facts, step, item, since: at, reminders: 0 };
}

function halfAbort(run: RunFactsOfWaiting, event: Extract<RunEvent, { kind: 'approved' }>): WaitingItem {
  const { reason } = event.data;
  const by = { id: event.by.actor.id, name: event.by.actor.name };
  return {
    ...opened(run, event),
    ...{ epoch: 0, kind: 'second-eyes', undo: false, allowed: ['abort', 'withdraw'] },
    cause: `${by.name} wants the run aborted: ${reason}`,
    remedy: 'Abort it, too, and everything is undone; or talk to them, so that they withdraw it.',
    half: { by, at: event.at, reason, decision: 'abort', from: null, input: null },
  };
}

/** All that waits in one run, from its events and nothing else. */
export function itemsOf(events: readonly RunEvent[], planRunId: string | null): WaitingItem[] {
  const run = projectRun(undefined, events);
  if (run === undefined || run.closedAt !== null) return [];
  const items = new Map<number, WaitingItem>();
  const facts = factsOf(run, planRunId);
  for (const event of events) {
    const epoch = epochOf(event);
    if (epoch === null) continue;
    const after = nextItem(facts, items.get(epoch), event);
    if (after === undefined) items.delete(epoch);
    else items.set(epoch, after);
  }
  const open = new Set(run.open.map((one) => one.epoch));
  return [...items.values()].filter(({ epoch }) => open.has(epoch) || (epoch === 0 && !run.undoing));
}

export function factsOf(run: RunProjection, planRunId: string | null): RunFactsOfWaiting {
  const { runId, procedure, mode, serverName, tier = 0, sites = [], runbooks = [] } = run;
  return { runId, planRunId, procedure, mode, serverName, tier, sites, runbooks };
}

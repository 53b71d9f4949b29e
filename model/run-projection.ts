/**
 * One row per run for lists, computed from the run's events and nothing else. Batches of any size give the same row, and
 * so does the whole history a second time.
 */
import { placesOfRecovery, runbooksOf } from './access';
import type { RunEvent } from './events';
import type { Mode, RecoveryOrder } from './order';
import { placeKey, type PlanHeader } from './plan';
import type { DecisionKind, RunState } from './steps';

/** Something that waits for a person. */
export interface OpenParking {
  readonly epoch: number;
  readonly kind: 'stuck' | 'gate';
  readonly undo: boolean;
  readonly since: string;
}

/** What a list shows, and what the next batch needs to go on. */
export interface RunProjection {
  readonly runId: string;
  readonly procedure: string;
  readonly mode: Mode;
  readonly serverId: string;
  readonly serverName: string;
  readonly state: RunState;
  /** The step announced or tried last; null before the first and after the close. */
  readonly currentStep: string | null;
  /** When the longest waiting stuck step was parked; also while undoing. */
  readonly stuckSince: string | null;
  readonly requestedBy: string;
  readonly startedAt: string;
  readonly closedAt: string | null;
  readonly open: readonly OpenParking[];
  readonly undoing: boolean;
  readonly held: boolean;
  /** Places that people hold, of a plan; absent in rows of earlier versions. */
  readonly holds?: readonly string[];
  /** Attempts that run now, counted only for plans. */
  readonly running?: number;
  /** Where it is and how urgent; absent in rows of earlier versions. */
  readonly sites?: readonly string[];
  readonly runbooks?: readonly string[];
  readonly tier?: number;
  /** Present: a person closed its record, because nothing ran it any more. */
  readonly lost?: true;
}

/** Folds events into the projection; undefined until the run's first event, `run-opened`, was seen. */
export function projectRun(
  previous: RunProjection | undefined,
  events: readonly RunEvent[],
): RunProjection | undefined {
  return events.reduce(next, previous);
}

function next(previous: RunProjection | undefined, event: RunEvent): RunProjection | undefined {
  if (event.kind === 'run-opened') return opened(event);
  if (event.kind === 'plan-opened') return planOpened(event);
  if (previous === undefined || previous.closedAt !== null) return previous;
  if (event.kind === 'run-closed') return closed(previous, event);
  const changed = change(previous, event);
  return changed === previous ? previous : { ...changed, ...stateOf(changed) };
}

function opened(event: Extract<RunEvent, { kind: 'run-opened' }>): RunProjection {
  const { order } = event.data;
  return {
    ...fresh(event, order),
    ...placesOfRecovery(order),
    tier: order.server.tier,
    serverId: order.server.id,
    serverName: order.server.name,
  };
}

/** A plan is of no one server: its runbook stands where a server's name would. */
function planOpened(event: Extract<RunEvent, { kind: 'plan-opened' }>): RunProjection {
  const { order } = event.data;
  return {
    ...fresh(event, order),
    sites: order.sites,
    runbooks: runbooksOf(order),
    tier: order.plan.tier,
    serverId: '',
    serverName: order.runbook.name,
  };
}

function fresh(
  event: RunEvent,
  order: Pick<RecoveryOrder | PlanHeader, 'runId' | 'procedure' | 'mode' | 'requestedBy'>,
): Omit<RunProjection, 'serverId' | 'serverName'> {
  return {
    runId: order.runId,
    procedure: order.procedure,
    mode: order.mode,
    state: 'running',
    currentStep: null,
    stuckSince: null,
    requestedBy: order.requestedBy.actor.name,
    startedAt: event.at,
    closedAt: null,
    open: [],
    undoing: false,
    held: false,
  };
}

function closed(previous: RunProjection, event: Extract<RunEvent, { kind: 'run-closed' }>): RunProjection {
  const over = { open: [], undoing: false, held: false, holds: [], running: 0, currentStep: null, stuckSince: null };
  const lost = event.data.lost === true ? { lost: true as const } : {};
  return { ...previous, ...over, ...lost, state: event.data.state, closedAt: event.at };
}

function change(run: RunProjection, event: RunEvent): RunProjection {
  switch (event.kind) {
    case 'step-announced':
      return event.step === run.currentStep ? run : { ...run, currentStep: event.step };
    case 'attempt-started':
      return counted(event.step === run.currentStep ? run : { ...run, currentStep: event.step }, 1);
    case 'attempt-succeeded':
    case 'attempt-failed':
      return counted(run, -1);
    case 'held':
      return { ...run, holds: [...(run.holds ?? []), placeKey(event.data.of)] };
    case 'let-go-on':
      return { ...run, holds: (run.holds ?? []).filter((one) => one !== placeKey(event.data.of)) };
    case 'parked':
      return parked(run, { epoch: event.data.epoch, kind: 'stuck', undo: event.data.undo, since: event.at });
    case 'gate-opened':
      return parked(run, { epoch: event.data.epoch, kind: 'gate', undo: false, since: event.at });
    case 'decided':
      return decided(run, event.data.decision, event.data.epoch);
    case 'rewound':
      return { ...run, open: run.open.filter((one) => one.undo), currentStep: event.data.to };
    case 'undo-started':
      return { ...run, open: run.open.filter((one) => one.undo), undoing: true, held: false, holds: [] };
    default:
      return run;
  }
}

/** Only a plan can be held, so only there it matters whether anything runs. */
function counted(run: RunProjection, by: 1 | -1): RunProjection {
  return run.procedure === 'plan' ? { ...run, running: (run.running ?? 0) + by } : run;
}

function parked(run: RunProjection, parking: OpenParking): RunProjection {
  return { ...run, open: [...run.open.filter((one) => one.epoch !== parking.epoch), parking] };
}

function decided(run: RunProjection, decision: DecisionKind, epoch: number): RunProjection {
  switch (decision) {
    case 'hold':
      return { ...run, held: true };
    case 'go-on':
      // What was held goes on; or a gate whose time was over.
      return run.held ? { ...run, held: false } : { ...run, open: run.open.filter((one) => one.epoch !== epoch) };
    case 'claim':
    case 'release':
    case 'withdraw':
      return run;
    // The run is given up: whatever waited on the way forward is not waited for any more.
    case 'abort':
    case 'roll-back':
      return { ...run, open: run.open.filter((one) => one.undo && one.epoch !== epoch) };
    default:
      return { ...run, open: run.open.filter((one) => one.epoch !== epoch) };
  }
}

/** Held is a plan in which something is held and nothing runs; what runs is not touched by a hold. */
const isHeld = ({ holds = [], running = 0 }: RunProjection): boolean => holds.length > 0 && running === 0;

/** Undoing before stuck before held before waiting before running. */
function stateOf(run: RunProjection): Pick<RunProjection, 'state' | 'stuckSince'> {
  const stuck = run.open.filter((one) => one.kind === 'stuck').map((one) => one.since);
  const stuckSince = stuck.length === 0 ? null : stuck.reduce((first, since) => (since < first ? since : first));
  if (run.undoing) return { state: 'undoing', stuckSince };
  if (stuckSince !== null) return { state: 'stuck', stuckSince };
  if (run.held || isHeld(run)) return { state: 'held', stuckSince };
  return { state: run.open.length > 0 ? 'waiting' : 'running', stuckSince };
}

/** The events of a run, taken in one after the other, into what run-view.ts and step-view.ts show. */
import type { RunEvent } from './events';
import { placeKey } from './plan';
import type { ProcedureDeclaration } from './steps';
import { endsParking } from './clocks';
import type { ParkingClock } from './clocks';
import { millisecondsBetween } from './durations';
import type { DecisionView, EvidenceView, NoteView, ParkingView, RefusalView } from './run-view';
import { endUnfinishedStep, evidenceView, newStep, setState, takeStepEvent } from './step-fold';
import type { Mutable, Of, StepFold } from './step-fold';
import { isGivenUp } from './skips';
import type { HalfDecision } from './waiting';
import { foldStanding } from './waiting-fold';

export interface RunFold {
  readonly steps: Map<string, StepFold>;
  readonly parkings: Mutable<ParkingView>[];
  readonly decisions: DecisionView[];
  readonly refusals: RefusalView[];
  readonly evidence: EvidenceView[];
  readonly notes: NoteView[];
  undoBecause: string | null;
  held: boolean;
  halfAbort: HalfDecision | null;
  /** Places that people hold, of a plan. */
  readonly holds: Set<string>;
  /** Tokens of attempts that run. */
  readonly running: Set<number>;
  closed: Of<'run-closed'> | null;
}

/** `parkings` come from the clocks, so that both agree on what ended each. */
export function foldRun(
  events: readonly RunEvent[],
  declaration: ProcedureDeclaration,
  parkings: readonly ParkingClock[],
): RunFold {
  const run: RunFold = {
    steps: new Map(declaration.steps.map((step) => [step.id, newStep(step.id)])),
    parkings: [],
    decisions: [],
    refusals: [],
    evidence: [],
    notes: [],
    undoBecause: null,
    held: false,
    halfAbort: null,
    holds: new Set(),
    running: new Set(),
    closed: null,
  };
  for (const event of events) {
    takeOpened(run, event, declaration);
    takeRunEvent(run, event, parkings);
    run.halfAbort = nextHalfAbort(run.halfAbort, event);
    if (event.step !== null) takeStepEvent(stepOf(run, event.step), event);
  }
  return run;
}

/** A step that the declaration does not know (an older record) is shown after the others, never dropped. */
function stepOf(run: RunFold, id: string): StepFold {
  const step = run.steps.get(id) ?? newStep(id);
  run.steps.set(id, step);
  return step;
}

function takeOpened(run: RunFold, event: RunEvent, declaration: ProcedureDeclaration): void {
  if (event.kind !== 'run-opened') return;
  for (const { id, perDisk } of declaration.steps) {
    if (perDisk) for (const disk of event.data.order.server.disks) stepOf(run, id).items.set(disk.id, 'pending');
  }
}

function takeRunEvent(run: RunFold, event: RunEvent, clocks: readonly ParkingClock[]): void {
  switch (event.kind) {
    case 'parked':
    case 'gate-opened':
      return void run.parkings.push(parkingView(event, clocks));
    case 'reminded': {
      const parking = run.parkings.find((one) => one.epoch === event.data.epoch);
      if (parking) parking.reminders += 1;
      return;
    }
    case 'claimed':
    case 'released':
    case 'approved':
    case 'approval-withdrawn':
    case 'escalated': {
      const parking = run.parkings.find((one) => one.epoch === event.data.epoch);
      return void (parking && Object.assign(parking, foldStanding(parking, event)));
    }
    case 'decided':
      return takeDecision(run, event);
    case 'held':
      return void run.holds.add(placeKey(event.data.of));
    case 'let-go-on':
      return void run.holds.delete(placeKey(event.data.of));
    case 'attempt-started':
      return void run.running.add(event.data.token);
    case 'attempt-succeeded':
    case 'attempt-failed':
      return void run.running.delete(event.data.token);
    case 'decision-refused':
      return void run.refusals.push({ at: event.at, by: event.by, step: event.step, ...event.data });
    case 'rewound':
      return rewind(run, event);
    case 'evidence':
      return void run.evidence.push(evidenceView(event));
    case 'noted':
      return void (event.step === null && run.notes.push({ at: event.at, message: event.data.message }));
    case 'undo-started':
      run.undoBecause = event.data.because;
      return endUnfinished(run, event.at);
    case 'run-closed':
      run.closed = event;
      return endUnfinished(run, event.at);
  }
}

/** The abort stands beside the parkings: its epoch is 0, and what is said of it is folded as what is said of one. */
function nextHalfAbort(before: HalfDecision | null, event: RunEvent): HalfDecision | null {
  switch (event.kind) {
    case 'approved':
    case 'approval-withdrawn':
      return event.data.epoch === 0 ? (foldStanding({ half: before }, event).half ?? null) : before;
    case 'decided':
      return event.data.decision === 'abort' ? null : before;
    case 'undo-started':
    case 'run-closed':
      return null;
    default:
      return before;
  }
}

function takeDecision(run: RunFold, event: Of<'decided'>): void {
  const { epoch, decision, reason, from, input } = event.data;
  const parking = run.parkings.find((one) => one.epoch === epoch);
  const waitedMs = parking === undefined ? null : millisecondsBetween(parking.since, event.at);
  const { at, by, step, item } = event;
  run.decisions.push({ at, by, step, item, epoch, decision, reason, from, input, waitedMs });
  if (decision === 'hold') run.held = true;
  if (decision === 'go-on') run.held = false;
  if (parking === undefined || !endsParking[decision]) return;
  const parked = stepOf(run, parking.step);
  if (decision === 'skip' && parking.undo) parked.leftBehind.add(parking.item);
  if (decision === 'skip' && !parking.undo && parking.item !== null)
    parked.items.set(parking.item, isGivenUp(event) ? 'failed' : 'skipped');
  else if (decision !== 'abort' && decision !== 'roll-back') setState(parked, parking.item, 'running');
}

/** Everything from the target on has not happened; what was tried stays visible. */
function rewind(run: RunFold, event: Of<'rewound'>): void {
  const ids = [...run.steps.keys()];
  for (const id of ids.slice(Math.max(0, ids.indexOf(event.data.to)))) {
    const step = stepOf(run, id);
    if (step.own === 'pending') continue;
    step.own = 'pending';
    for (const item of step.items.keys()) step.items.set(item, 'pending');
    step.because = null;
    step.result = null;
    step.endedAt = event.at;
    step.rewinds += 1;
  }
}

function endUnfinished(run: RunFold, at: string): void {
  for (const step of run.steps.values()) {
    endUnfinishedStep(step, at);
    if (!run.closed) continue;
    for (const attempt of step.attempts) if (attempt.outcome === 'running') attempt.outcome = 'unfinished';
  }
}

function parkingView(event: Of<'parked' | 'gate-opened'>, clocks: readonly ParkingClock[]): Mutable<ParkingView> {
  const clock = clocks.find((one) => one.epoch === event.data.epoch && one.since === event.at);
  const { epoch, allowed } = event.data;
  return {
    epoch,
    step: event.step ?? '',
    item: event.item,
    kind: event.kind === 'parked' ? 'stuck' : 'gate',
    undo: event.kind === 'parked' && event.data.undo,
    since: event.at,
    until: clock?.until ?? null,
    waitingMs: clock?.waitingMs ?? 0,
    cause: event.kind === 'parked' ? event.data.failure.message : event.data.because,
    remedy: event.kind === 'parked' ? event.data.remedy : event.data.question,
    allowed,
    reminders: 0,
    ...(event.kind === 'gate-opened' && event.data.gate !== undefined ? { gate: event.data.gate, approvals: [] } : {}),
  };
}

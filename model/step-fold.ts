/** The events of one step, taken in one after the other: its state, its items, its attempts and what they left. */
import type { RunEvent } from './events';
import type { StepState } from './steps';
import { millisecondsBetween } from './durations';
import type { AttemptView, EvidenceView, MeasurementView, NoteView } from './run-view';

export type Of<K extends RunEvent['kind']> = Extract<RunEvent, { kind: K }>;
export type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export interface StepFold {
  readonly id: string;
  title: string | null;
  /** State of the step as a whole, and of each item. */
  own: StepState;
  readonly items: Map<string, StepState>;
  readonly attempts: Mutable<AttemptView>[];
  readonly evidence: EvidenceView[];
  readonly notes: NoteView[];
  readonly measurements: MeasurementView[];
  because: string | null;
  /** Items (null: the step) whose undo a person skipped. */
  readonly leftBehind: Set<string | null>;
  rewinds: number;
  startedAt: string | null;
  endedAt: string | null;
  result: unknown;
}

export function newStep(id: string): StepFold {
  return {
    id,
    title: null,
    own: 'pending',
    items: new Map(),
    attempts: [],
    evidence: [],
    notes: [],
    measurements: [],
    because: null,
    leftBehind: new Set(),
    rewinds: 0,
    startedAt: null,
    endedAt: null,
    result: null,
  };
}

export function takeStepEvent(step: StepFold, event: RunEvent): void {
  switch (event.kind) {
    case 'step-announced':
      step.title = event.data.title;
      step.endedAt = null;
      return begin(step, null, event.at);
    case 'attempt-started':
      begin(step, event.item, event.at);
      return void step.attempts.push(attemptView(event));
    case 'attempt-succeeded':
    case 'attempt-failed':
      endAttempt(step, event);
      if (event.kind === 'attempt-succeeded') succeed(step, event);
      return;
    case 'parked':
      return setState(step, event.item, 'stuck');
    case 'gate-opened':
      return setState(step, event.item, 'waiting');
    case 'step-done':
      step.result = event.data.result;
      return end(step, event.item, 'done', event.at, null);
    case 'step-not-applicable':
      return end(step, event.item, 'not-applicable', event.at, event.data.because);
    case 'step-skipped':
      return end(step, event.item, 'skipped', event.at, event.data.reason);
    case 'step-undone':
      return end(step, event.item, 'undone', event.at, step.because);
    case 'evidence':
      return void step.evidence.push(evidenceView(event));
    case 'noted':
      return void step.notes.push({ at: event.at, message: event.data.message });
    case 'measured':
      return void step.measurements.push({ at: event.at, ...event.data });
  }
}

function begin(step: StepFold, item: string | null, at: string): void {
  step.startedAt ??= at;
  step.own = 'running';
  if (item !== null) step.items.set(item, 'running');
}

export function setState(step: StepFold, item: string | null, state: StepState): void {
  if (item === null) step.own = state;
  else step.items.set(item, state);
}

const finished: readonly StepState[] = ['done', 'not-applicable', 'skipped', 'failed', 'undone'];

/** The end of the whole step ends its items too; items that have an end of their own keep it, except when undone. */
function end(step: StepFold, item: string | null, state: StepState, at: string, because: string | null): void {
  step.endedAt = at;
  step.because = because;
  if (item !== null) return void step.items.set(item, state);
  step.own = state;
  for (const [id, was] of step.items) if (state === 'undone' || !finished.includes(was)) step.items.set(id, state);
}

function attemptView(event: Of<'attempt-started'>): Mutable<AttemptView> {
  return {
    item: event.item,
    attempt: event.attempt ?? 0,
    token: event.data.token,
    undo: event.data.undo,
    startedAt: event.at,
    endedAt: null,
    durationMs: null,
    outcome: 'running',
    failure: null,
    nextDelayMs: null,
    worker: null,
  };
}

function endAttempt(step: StepFold, event: Of<'attempt-succeeded' | 'attempt-failed'>): void {
  const attempt = step.attempts.find((one) => one.token === event.data.token);
  if (attempt === undefined) return;
  const ownMs = event.kind === 'attempt-succeeded' ? event.data.durationMs : null;
  attempt.endedAt = event.at;
  attempt.durationMs = ownMs ?? millisecondsBetween(attempt.startedAt, event.at);
  attempt.outcome = event.kind === 'attempt-succeeded' ? 'succeeded' : 'failed';
  attempt.worker = event.by.actor.kind === 'worker' ? event.by.actor.name : null;
  if (event.kind === 'attempt-failed') {
    attempt.failure = event.data.failure;
    attempt.nextDelayMs = event.data.nextDelayMs;
  }
}

function succeed(step: StepFold, { item, data }: Of<'attempt-succeeded'>): void {
  if (item !== null) step.items.set(item, data.undo ? 'undone' : 'done');
  if (data.undo) step.leftBehind.delete(item);
}

/** What was under way when an abort, or the end of the run, came: failed where a try did not succeed. */
export function endUnfinishedStep(step: StepFold, at: string): void {
  for (const [item, state] of step.items) if (unfinished(state)) step.items.set(item, stateOfUnfinished(step, item));
  if (!unfinished(step.own)) return;
  step.own = stateOfUnfinished(step, null);
  step.endedAt = at;
}

const unfinished = (state: StepState): boolean => state === 'running' || state === 'waiting' || state === 'stuck';

function stateOfUnfinished(step: StepFold, item: string | null): StepState {
  const last = step.attempts.filter((attempt) => item === null || attempt.item === item).at(-1);
  return last === undefined || last.outcome === 'succeeded' ? 'undone' : 'failed';
}

export function evidenceView({ at, step, item, attempt, data }: Of<'evidence'>): EvidenceView {
  return { at, step, item, attempt, what: data.what, evidence: data.evidence };
}

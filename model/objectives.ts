/**
 * RPO and RTO, actual against target.
 *
 *   RPO actual   from the recovery point to the loss of the server; to the button where nobody knows when it was lost
 *   RTO actual   from the button to the moment the boot was proven
 *
 * A recovery that was undone recovered nothing: both are unknown then. So is the RTO while the boot is not proven, except
 * that a target which has passed without a proof is missed already.
 */
import type { RunEvent } from './events';
import type { RecoveryOrder } from './order';
import type { Objectives } from './server';
import { provingStep } from './steps';
import { millisecondsBetween } from './durations';
import { readPoint, readProof, rungsNotShown } from './results';
import type { PointFacts } from './results';

export type Verdict = 'met' | 'missed' | 'unknown';

export interface ObjectiveResult {
  readonly targetMs: number;
  readonly actualMs: number | null;
  /** Target minus actual: negative where it was missed. */
  readonly marginMs: number | null;
  readonly verdict: Verdict;
  readonly from: string | null;
  readonly to: string | null;
  /** What was measured, or why nothing could be. */
  readonly because: string;
}

export interface ObjectiveResults {
  readonly rpo: ObjectiveResult;
  readonly rto: ObjectiveResult;
}

/** What of a run's events the objectives need; folded event by event, so that a list can keep it. */
export interface ObjectiveState {
  readonly targets: Objectives;
  readonly requestedAt: string;
  readonly lostAt: string | null;
  readonly point: Pick<PointFacts, 'pointId' | 'takenAt'> | null;
  readonly proof: { readonly provenAt: string; readonly shown: boolean } | null;
  readonly undoneBecause: string | null;
  readonly proofSkipped: boolean;
  readonly closedAt: string | null;
  readonly announced: readonly string[];
}

/** undefined before the run was opened. `now` matters only for a run that is open. */
export function objectivesOf(events: readonly RunEvent[], now: string): ObjectiveResults | undefined {
  const opened = events.find((event) => event.kind === 'run-opened');
  if (opened === undefined) return undefined;
  return objectivesAt(events.reduce(nextObjectives, openObjectives(opened.data.order)), now);
}

export function objectivesAt(state: ObjectiveState, now: string): ObjectiveResults {
  return { rpo: rpoOf(state), rto: rtoOf(state, now) };
}

export function openObjectives({ server, requestedAt, lostAt }: RecoveryOrder): ObjectiveState {
  const nothing = { point: null, proof: null, undoneBecause: null, proofSkipped: false, closedAt: null, announced: [] };
  return { targets: server.objectives, requestedAt, lostAt, ...nothing };
}

/** One event more. The same value where it changes nothing. */
export function nextObjectives(state: ObjectiveState, event: RunEvent): ObjectiveState {
  switch (event.kind) {
    case 'step-announced':
      if (event.step === null || state.announced.includes(event.step)) return state;
      return { ...state, announced: [...state.announced, event.step] };
    case 'step-done':
      if (event.step === 'freeze') return { ...state, point: pointOf(event.data.result) };
      return event.step === provingStep ? { ...state, proof: proofOf(event.data.result), proofSkipped: false } : state;
    case 'step-skipped':
      return event.step === provingStep ? { ...state, proofSkipped: true } : state;
    case 'rewound':
      return forget(state, event.data.to);
    case 'undo-started':
      return { ...state, undoneBecause: event.data.because };
    case 'run-closed':
      return { ...state, closedAt: event.at };
    default:
      return state;
  }
}

function pointOf(result: unknown): ObjectiveState['point'] {
  const point = readPoint(result);
  return point && { pointId: point.pointId, takenAt: point.takenAt };
}

function proofOf(result: unknown): ObjectiveState['proof'] {
  const proof = readProof(result);
  return proof && { provenAt: proof.provenAt, shown: rungsNotShown(proof).length === 0 };
}

/** Going back to a step takes back what it and all later ones gave. */
function forget(state: ObjectiveState, to: string): ObjectiveState {
  const target = state.announced.indexOf(to);
  const proof = state.announced.indexOf(provingStep) >= target ? { proof: null, proofSkipped: false } : {};
  const point = state.announced.indexOf('freeze') >= target ? { point: null } : {};
  return { ...state, ...proof, ...point };
}

function rpoOf({ targets, requestedAt, lostAt, point, undoneBecause }: ObjectiveState): ObjectiveResult {
  const targetMs = targets.rpoMs;
  if (undoneBecause !== null) return unknown(targetMs, 'The recovery was undone, so nothing was recovered.');
  if (point === null) return unknown(targetMs, 'No recovery point is frozen.');
  const to = lostAt ?? requestedAt;
  const until =
    lostAt === null ? 'the button was pushed (nobody stated when the server was lost)' : 'the server was lost';
  return measured(targetMs, point.takenAt, to, `From the recovery point to the moment ${until}.`);
}

function rtoOf(state: ObjectiveState, now: string): ObjectiveResult {
  const { requestedAt, proof, undoneBecause } = state;
  const targetMs = state.targets.rtoMs;
  if (undoneBecause !== null) return unknown(targetMs, 'The recovery was undone, so nothing was recovered.');
  if (proof !== null) {
    const because = proof.shown
      ? 'From the button to the proven boot.'
      : 'From the button to the boot as it was seen from outside.';
    return measured(targetMs, requestedAt, proof.provenAt, because);
  }
  const soFarMs = millisecondsBetween(requestedAt, state.closedAt ?? now);
  const because = state.proofSkipped ? 'The proof of boot was skipped.' : 'The boot is not proven.';
  if (soFarMs <= targetMs) return unknown(targetMs, because);
  return {
    ...unknown(targetMs, `${because} The target has passed without it.`),
    verdict: 'missed',
    from: requestedAt,
  };
}

function measured(targetMs: number, from: string, to: string, because: string): ObjectiveResult {
  const actualMs = millisecondsBetween(from, to);
  const marginMs = targetMs - actualMs;
  return { targetMs, actualMs, marginMs, verdict: marginMs >= 0 ? 'met' : 'missed', from, to, because };
}

function unknown(targetMs: number, because: string): ObjectiveResult {
  return { targetMs, actualMs: null, marginMs: null, verdict: 'unknown', from: null, to: null, because };
}

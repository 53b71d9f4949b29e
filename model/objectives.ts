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
import { millisecondsBetween } from './durations';
import { readPoint, readProof, rungsNotShown } from './results';
import type { PointFacts, ProofFacts } from './results';

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

interface Recovered {
  order: RecoveryOrder;
  point: PointFacts | null;
  proof: ProofFacts | null;
  undoneBecause: string | null;
  proofSkipped: boolean;
  closedAt: string | null;
}

/** undefined before the run was opened. `now` matters only for a run that is open. */
export function objectivesOf(events: readonly RunEvent[], now: string): ObjectiveResults | undefined {
  const opened = events.find((event) => event.kind === 'run-opened');
  if (opened === undefined) return undefined;
  const state = readRun(opened.data.order, events);
  return { rpo: rpoOf(state), rto: rtoOf(state, now) };
}

function readRun(order: RecoveryOrder, events: readonly RunEvent[]): Recovered {
  const state: Recovered = {
    order,
    point: null,
    proof: null,
    undoneBecause: null,
    proofSkipped: false,
    closedAt: null,
  };
  const announced: string[] = [];
  for (const event of events) {
    if (event.kind === 'step-announced' && event.step !== null && !announced.includes(event.step))
      announced.push(event.step);
    if (event.kind === 'step-done' && event.step === 'freeze') state.point = readPoint(event.data.result);
    if (event.kind === 'step-done' && event.step === 'prove-boot') {
      state.proof = readProof(event.data.result);
      state.proofSkipped = false;
    }
    if (event.kind === 'step-skipped' && event.step === 'prove-boot') state.proofSkipped = true;
    if (event.kind === 'rewound') forget(state, announced, event.data.to);
    if (event.kind === 'undo-started') state.undoneBecause = event.data.because;
    if (event.kind === 'run-closed') state.closedAt = event.at;
  }
  return state;
}

/** Going back to a step takes back what it and all later ones gave. */
function forget(state: Recovered, announced: readonly string[], to: string): void {
  const target = announced.indexOf(to);
  if (announced.indexOf('prove-boot') >= target) {
    state.proof = null;
    state.proofSkipped = false;
  }
  if (announced.indexOf('freeze') >= target) state.point = null;
}

function rpoOf({ order, point, undoneBecause }: Recovered): ObjectiveResult {
  const targetMs = order.server.objectives.rpoMs;
  if (undoneBecause !== null) return unknown(targetMs, 'The recovery was undone, so nothing was recovered.');
  if (point === null) return unknown(targetMs, 'No recovery point is frozen.');
  const to = order.lostAt ?? order.requestedAt;
  const until =
    order.lostAt === null ? 'the button was pushed (nobody stated when the server was lost)' : 'the server was lost';
  return measured(targetMs, point.takenAt, to, `From the recovery point to the moment ${until}.`);
}

function rtoOf(state: Recovered, now: string): ObjectiveResult {
  const { order, proof, undoneBecause } = state;
  const targetMs = order.server.objectives.rtoMs;
  if (undoneBecause !== null) return unknown(targetMs, 'The recovery was undone, so nothing was recovered.');
  if (proof !== null) {
    const shown = rungsNotShown(proof).length === 0;
    const because = shown
      ? 'From the button to the proven boot.'
      : 'From the button to the boot as it was seen from outside.';
    return measured(targetMs, order.requestedAt, proof.provenAt, because);
  }
  const soFarMs = millisecondsBetween(order.requestedAt, state.closedAt ?? now);
  const because = state.proofSkipped ? 'The proof of boot was skipped.' : 'The boot is not proven.';
  if (soFarMs <= targetMs) return unknown(targetMs, because);
  return {
    ...unknown(targetMs, `${because} The target has passed without it.`),
    verdict: 'missed',
    from: order.requestedAt,
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

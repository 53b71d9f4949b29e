/**
 * The report of a run as plain JSON: what an auditor and a board read, and what the HTML is made from. Everything in it
 * comes from the run's events; exceptions come first.
 *
 * Shape (format 1): `headline` says the result in words; `exceptions` lists every step that was skipped, left behind or
 * never done; then objectives, clocks, the proof of boot, steps with attempts, decisions, evidence, the order as it was
 * requested, versions, and the journal's head, against which the record can be verified.
 */
import type { EvidenceRef, RunEvent } from './events';
import type { Actor, RecoveryOrder } from './order';
import { isClosedRun, provingStep } from './steps';
import type { ProcedureDeclaration, RunState } from './steps';
import type { Clocks } from './clocks';
import type { PastTimes } from './estimate/past';
import type { TimeLeft } from './estimate/time-left';
import type { ObjectiveResults } from './objectives';
import { headlineOf } from './report-headline';
import { readPoint, readProof } from './results';
import type { PointFacts, ProofFacts } from './results';
import { runPast, type RunPast } from './run-past';
import { runView } from './run-view';
import { toldViews, type Told, type ToldView } from './told';
import type { DecisionView, EvidenceView, NoteView, ParkingView, RefusalView, RunView, StepView } from './run-view';

/** How the result is to be read at a glance. */
export type Tone = 'good' | 'warning' | 'bad' | 'open';

export interface Headline {
  readonly tone: Tone;
  readonly title: string;
  readonly sentence: string;
}

export interface ReportException {
  readonly kind: 'skipped' | 'left-behind' | 'not-done';
  readonly step: string;
  readonly position: number;
  readonly title: string;
  readonly items: readonly string[];
  readonly reason: string | null;
  readonly by: Actor | null;
  readonly at: string | null;
  /** What is missing: what the step is for; for a skipped undo, what it would have done. */
  readonly why: string;
}

export interface ReportEvidence extends EvidenceView {
  readonly stepTitle: string | null;
}

export interface RunReport {
  readonly format: 1;
  readonly generatedAt: string;
  readonly runId: string;
  readonly tenantId: string;
  readonly procedure: { readonly name: string; readonly title: string; readonly summary: string };
  readonly state: RunState;
  readonly closed: boolean;
  readonly headline: Headline;
  readonly exceptions: readonly ReportException[];
  readonly requestedAt: string;
  readonly openedAt: string;
  readonly closedAt: string | null;
  readonly objectives: ObjectiveResults;
  readonly clocks: Clocks;
  /** Of a run that is not closed, from past runs; null where nobody asked. */
  readonly timeLeft: TimeLeft | null;
  readonly point: PointFacts | null;
  readonly proof: ProofFacts | null;
  /** Open parkings of a run that is not closed. */
  readonly waitingFor: readonly ParkingView[];
  readonly steps: readonly StepView[];
  readonly decisions: readonly DecisionView[];
  readonly refusals: readonly RefusalView[];
  readonly evidence: readonly ReportEvidence[];
  readonly notes: readonly NoteView[];
  /** null: the store could not be asked; absent: nobody asked it. */
  readonly past?: RunPast | null;
  /** Oldest first; null: the store could not be asked; absent: nobody asked it. */
  readonly told?: readonly ToldView[] | null;
  /** As it was requested; corrections stand with the decisions that made them. */
  readonly order: RecoveryOrder;
  readonly versions: Readonly<Record<string, string>>;
  readonly journal: {
    readonly events: number;
    /** SHA-256 of the last row; null while the journal has not caught up. */
    readonly headHash: string | null;
    readonly childHashes: Readonly<Record<string, string>>;
  };
}

export interface ReportContext {
  /** UTC; ends the clocks of a run that is open. */
  readonly generatedAt: string;
  readonly headHash: string | null;
  /** Versions of what generates the report, beside those that the run recorded. */
  readonly versions: Readonly<Record<string, string>>;
  readonly timeLeft?: TimeLeft | null;
  readonly told?: readonly Told[] | null;
  /** Of the same server, newest first. */
  readonly past?: readonly PastTimes[] | null;
}

/** @throws OperatorError when the events do not begin with `run-opened`. */
export function reportModel(
  events: readonly RunEvent[],
  declaration: ProcedureDeclaration,
  context: ReportContext,
): RunReport {
  const run = runView(events, declaration, context.generatedAt);
  const closed = isClosedRun(run.state);
  const exceptions = exceptionsOf(run, closed);
  const { order } = run;
  return {
    format: 1,
    generatedAt: context.generatedAt,
    runId: run.runId,
    tenantId: order.tenantId,
    procedure: { name: declaration.name, title: declaration.title, summary: declaration.summary },
    state: run.state,
    closed,
    headline: headlineOf(run, exceptions),
    exceptions,
    requestedAt: order.requestedAt,
    openedAt: run.openedAt,
    closedAt: run.closedAt,
    objectives: run.objectives,
    clocks: run.clocks,
    timeLeft: context.timeLeft ?? null,
    point: readPoint(run.steps.find((step) => step.id === 'freeze')?.result),
    proof: proofOf(run),
    waitingFor: run.parkings.filter((parking) => parking.until === null),
    steps: run.steps,
    decisions: run.decisions,
    refusals: run.refusals,
    evidence: evidenceOf(run),
    notes: run.notes,
    ...(context.past === undefined ? {} : { past: context.past && runPast(run, context.past) }),
    ...(context.told === undefined ? {} : { told: toldViews(context.told, run.parkings) }),
    order,
    versions: { ...run.versions, ...context.versions },
    journal: { events: run.eventCount, headHash: context.headHash, childHashes: run.childHashes },
  };
}

/** A proof counts only while its step is done: one that was undone, or gone back behind, proves nothing any more. */
function proofOf(run: RunView): ProofFacts | null {
  const step = run.steps.find(({ id }) => id === provingStep);
  return step?.state === 'done' ? readProof(step.result) : null;
}

function exceptionsOf(run: RunView, closed: boolean): ReportException[] {
  const succeeded = run.state === 'succeeded' || run.state === 'succeeded-with-exceptions';
  return run.steps.flatMap((step) => {
    if (step.leftBehind) return [exception(step, 'left-behind')];
    if (step.state === 'skipped') return [exception(step, 'skipped')];
    const fine = step.state === 'done' || step.state === 'not-applicable';
    return closed && succeeded && !fine ? [exception(step, 'not-done')] : [];
  });
}

function exception(step: StepView, kind: ReportException['kind']): ReportException {
  const undo = kind === 'left-behind';
  const skips = step.decisions.filter(
    (decision) => decision.decision === 'skip' && isOfUndo(step, decision) === undo && kind !== 'not-done',
  );
  const last = skips.at(-1);
  return {
    kind,
    step: step.id,
    position: step.position,
    title: step.title,
    items: skips.flatMap(({ item }) => (item === null ? [] : [item])),
    reason: last?.reason ?? step.because,
    by: last?.by.actor ?? null,
    at: last?.at ?? null,
    why: undo ? (step.undo ?? step.title) : step.why,
  };
}

function isOfUndo(step: StepView, decision: DecisionView): boolean {
  return step.parkings.some((parking) => parking.epoch === decision.epoch && parking.undo);
}

/** Every file once under what it proves, also those that only the proof of boot names. */
function evidenceOf(run: RunView): ReportEvidence[] {
  const title = (id: string | null): string | null => run.steps.find((step) => step.id === id)?.title ?? null;
  const recorded = run.evidence.map((one) => ({ ...one, stepTitle: title(one.step) }));
  const known = new Set(recorded.map(({ evidence }) => evidence.sha256));
  const proof = proofOf(run);
  const ofProof = (proof?.rungs ?? []).flatMap((rung) =>
    rung.evidence.map((evidence: EvidenceRef) => ({
      at: proof!.provenAt,
      step: provingStep,
      item: null,
      attempt: null,
      what: rung.name,
      evidence,
      stepTitle: title(provingStep),
    })),
  );
  return [...recorded, ...ofProof.filter(({ evidence }) => !known.has(evidence.sha256))];
}

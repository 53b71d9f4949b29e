/**
 * A run as people see it: every declared step in order with its state, items, attempts, decisions and evidence. Computed
 * from the events and the procedure's declaration and nothing else; plain JSON, for the API, the CLI and the report.
 *
 * A skipped step never reads as success: neither the step (`skipped`, also where only one of its disks was skipped), nor
 * the run, whose recorded `succeeded` is shown as `succeeded-with-exceptions` beside a skipped step or undo.
 */
import type { EvidenceRef, Failure, RunEvent } from './events';
import type { CorrectableInput, Provenance, RecoveryOrder } from './order';
import type { DecisionKind, ProcedureDeclaration, RunState, StepState } from './steps';
import { clocksOf } from './clocks';
import type { Clocks } from './clocks';
import { OperatorError } from './errors';
import { objectivesOf } from './objectives';
import type { ObjectiveResults } from './objectives';
import { foldRun } from './run-fold';
import type { RunFold } from './run-fold';
import type { HalfDecision, Standing } from './waiting';
import { stepViews } from './step-view';

export interface AttemptView {
  readonly item: string | null;
  /** Counts tries of this item, from 1; undo has its own count. */
  readonly attempt: number;
  readonly token: number;
  readonly undo: boolean;
  readonly startedAt: string;
  readonly endedAt: string | null;
  /** The activity's own measure where it gave one; else from the run's clock. */
  readonly durationMs: number | null;
  /** `unfinished`: the run was closed and no end of it is in the record. */
  readonly outcome: 'running' | 'succeeded' | 'failed' | 'unfinished';
  readonly failure: Failure | null;
  /** Pause before the next automatic attempt. */
  readonly nextDelayMs: number | null;
  readonly worker: string | null;
}

export interface ParkingView extends Standing {
  readonly epoch: number;
  readonly step: string;
  readonly item: string | null;
  readonly kind: 'stuck' | 'gate';
  readonly undo: boolean;
  readonly since: string;
  /** null: waits for people now. */
  readonly until: string | null;
  readonly waitingMs: number;
  readonly cause: string;
  /** What to do; for a gate, the question. */
  readonly remedy: string;
  readonly allowed: readonly DecisionKind[];
  readonly reminders: number;
}

export interface DecisionView {
  readonly at: string;
  readonly by: Provenance;
  /** null: a decision on the whole run. */
  readonly step: string | null;
  readonly item: string | null;
  readonly epoch: number;
  readonly decision: DecisionKind;
  readonly reason: string;
  /** The step that the run went back to. */
  readonly from: string | null;
  readonly input: CorrectableInput | null;
  /** How long the parking had waited; null for a decision on the whole run. */
  readonly waitedMs: number | null;
}

export interface RefusalView {
  readonly at: string;
  readonly by: Provenance;
  readonly step: string | null;
  readonly decision: string;
  readonly because: string;
}

export interface EvidenceView {
  readonly at: string;
  readonly step: string | null;
  readonly item: string | null;
  readonly attempt: number | null;
  readonly what: string;
  readonly evidence: EvidenceRef;
}

export interface NoteView {
  readonly at: string;
  readonly message: string;
}

export interface MeasurementView {
  readonly at: string;
  readonly name: string;
  readonly value: number;
  readonly unit: 'ms' | 'bytes' | 'count';
}

export interface ItemView {
  readonly item: string;
  readonly state: StepState;
  readonly attempts: number;
}

export interface StepView {
  readonly id: string;
  /** From 1, in declared order. */
  readonly position: number;
  readonly title: string;
  readonly why: string;
  readonly remedy: string;
  /** What undoing it does; null where there is nothing to undo. */
  readonly undo: string | null;
  readonly state: StepState;
  /** Why it was skipped or does not apply. */
  readonly because: string | null;
  /** Its undo was skipped by decision: what it made may still be there. */
  readonly leftBehind: boolean;
  /** How often the run went back behind this step. */
  readonly rewinds: number;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly clocks: Clocks;
  readonly items: readonly ItemView[];
  readonly attempts: readonly AttemptView[];
  readonly parkings: readonly ParkingView[];
  readonly decisions: readonly DecisionView[];
  readonly evidence: readonly EvidenceView[];
  readonly notes: readonly NoteView[];
  readonly measurements: readonly MeasurementView[];
  readonly result: unknown;
}

export interface RunView {
  readonly runId: string;
  readonly procedure: string;
  readonly state: RunState;
  /** The step that waits for people, else the one that runs or is being undone; null when none does. */
  readonly currentStep: string | null;
  readonly summary: string | null;
  /** Nothing ran it any more and a person closed its record: what it had made was not undone. */
  readonly lost: boolean;
  readonly undoBecause: string | null;
  readonly openedAt: string;
  readonly closedAt: string | null;
  readonly order: RecoveryOrder;
  readonly clocks: Clocks;
  readonly objectives: ObjectiveResults;
  readonly steps: readonly StepView[];
  /** An abort that needs four eyes and has two; null: none waits. */
  readonly halfAbort: HalfDecision | null;
  /** Open and answered, in the order in which they were opened. */
  readonly parkings: readonly ParkingView[];
  readonly decisions: readonly DecisionView[];
  readonly refusals: readonly RefusalView[];
  readonly evidence: readonly EvidenceView[];
  readonly notes: readonly NoteView[];
  readonly versions: Readonly<Record<string, string>>;
  readonly childHashes: Readonly<Record<string, string>>;
  readonly eventCount: number;
}

/**
 * `events` in the journal's order, from the run's first on. `now` (UTC) ends the clocks of a run that is open.
 *
 * @throws OperatorError when the events do not begin with `run-opened`: without the order nothing can be said.
 */
export function runView(events: readonly RunEvent[], declaration: ProcedureDeclaration, now: string): RunView {
  const objectives = objectivesOf(events, now);
  const opened = events.find((event) => event.kind === 'run-opened');
  if (opened === undefined || objectives === undefined) {
    throw new OperatorError({
      what: 'the run cannot be shown',
      found: `${events.length} events and no run-opened among them`,
      needed: 'the events of a run from its first on',
      remedy: 'Read the run again once its journal has caught up.',
    });
  }
  const { order, declaration: procedure, versions } = opened.data;
  return { ...runBase({ runId: order.runId, procedure, versions }, events, declaration, now), order, objectives };
}

/** What is shown of any run, of a server or a plan: all but what it was asked to do. `events` begin with its opening. */
export type RunBase = Omit<RunView, 'order' | 'objectives'>;

export function runBase(
  opened: Pick<RunView, 'runId' | 'procedure' | 'versions'>,
  events: readonly RunEvent[],
  declaration: ProcedureDeclaration,
  now: string,
): RunBase {
  const clocks = clocksOf(events, now);
  const fold = foldRun(events, declaration, clocks.parkings);
  const steps = stepViews(fold, declaration, clocks);
  return {
    ...opened,
    state: stateOf(fold, steps),
    currentStep: currentStepOf(steps),
    summary: fold.closed?.data.summary ?? null,
    lost: fold.closed?.data.lost === true,
    undoBecause: fold.undoBecause,
    openedAt: events[0]!.at,
    closedAt: fold.closed?.at ?? null,
    clocks: clocks.run,
    steps,
    halfAbort: fold.halfAbort,
    parkings: fold.parkings,
    decisions: fold.decisions,
    refusals: fold.refusals,
    evidence: fold.evidence,
    notes: fold.notes,
    childHashes: fold.closed?.data.childHashes ?? {},
    eventCount: events.length,
  };
}

function stateOf(fold: RunFold, steps: readonly StepView[]): RunState {
  if (fold.closed) {
    const { state } = fold.closed.data;
    const excepted = steps.some((step) => step.state === 'skipped' || step.leftBehind);
    return state === 'succeeded' && excepted ? 'succeeded-with-exceptions' : state;
  }
  const open = fold.parkings.filter((parking) => parking.until === null);
  if (open.some((parking) => parking.kind === 'stuck')) return 'stuck';
  if (fold.undoBecause !== null) return 'undoing';
  if (fold.held || (fold.holds.size > 0 && fold.running.size === 0)) return 'held';
  return open.length > 0 ? 'waiting' : 'running';
}

function currentStepOf(steps: readonly StepView[]): string | null {
  const first = (state: StepState): StepView | undefined => steps.find((step) => step.state === state);
  return (first('stuck') ?? first('waiting') ?? first('running'))?.id ?? null;
}

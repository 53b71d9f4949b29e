/** Declared steps in their order, each with what happened to it. */
import type { ProcedureDeclaration, StepDeclaration, StepState } from './steps';
import type { RunClocks } from './clocks';
import type { RunFold } from './run-fold';
import type { StepFold } from './step-fold';
import type { StepView } from './run-view';

const noClocks = { elapsedMs: 0, machineMs: 0, waitingMs: 0 };

export function stepViews(run: RunFold, declaration: ProcedureDeclaration, clocks: RunClocks): StepView[] {
  return [...run.steps.values()].map((step, index) =>
    stepView(
      run,
      step,
      index + 1,
      declaration.steps.find((declared) => declared.id === step.id),
      clocks,
    ),
  );
}

function stepView(
  run: RunFold,
  step: StepFold,
  position: number,
  declared: StepDeclaration | undefined,
  clocks: RunClocks,
): StepView {
  const { id, attempts, evidence, notes, measurements, because, leftBehind, rewinds, startedAt, result } = step;
  const state = stateOf(step);
  return {
    id,
    position,
    title: step.title ?? declared?.title ?? id,
    why: declared?.why ?? 'This step is not in the procedure as declared today.',
    remedy: declared?.remedy ?? '',
    undo: declared?.undo ?? null,
    state,
    because,
    leftBehind: leftBehind.size > 0,
    rewinds,
    startedAt,
    endedAt: isOpen(state) ? null : step.endedAt,
    clocks: clocks.steps[id] ?? noClocks,
    items: [...step.items].map(([item, itemState]) => ({
      item,
      state: itemState,
      attempts: attempts.filter((attempt) => attempt.item === item && !attempt.undo).length,
    })),
    attempts,
    parkings: run.parkings.filter((parking) => parking.step === id),
    decisions: run.decisions.filter((decision) => decision.step === id),
    evidence,
    notes,
    measurements,
    result,
  };
}

const isOpen = (state: StepState): boolean => state === 'running' || state === 'waiting' || state === 'stuck';

/** Where a step has items, they say how far it is: the most urgent one first, and one skipped disk is a skipped step. */
function stateOf({ own, items, leftBehind }: StepFold): StepState {
  // The runner records an undo that a person skipped as undone, too; it was not.
  if (leftBehind.size > 0 && own === 'undone') return 'skipped';
  const states = [...items.values()];
  if (states.length === 0 || own === 'stuck' || own === 'waiting') return own;
  for (const urgent of ['stuck', 'waiting', 'failed', 'skipped'] as const) {
    if (states.includes(urgent) && (urgent !== 'skipped' || own !== 'running')) return urgent;
  }
  const undone = states.includes('undone') && states.every((state) => state === 'undone' || state === 'pending');
  if (undone) return leftBehind.size > 0 ? 'skipped' : 'undone';
  // Disks are undone one after the other while the step itself still reads as done.
  if (own === 'done' && states.includes('undone')) return 'running';
  return own;
}

/** Whether a run that takes long has proven yet what it is for. */
import type { RunEvent } from '../events';
import { objectivesOf } from '../objectives';

/** From the events of an open run. A run that is closed, undone or proven is at risk no more. */
export function isObjectiveAtRisk(events: readonly RunEvent[], now: string): boolean {
  if (events.some(({ kind }) => kind === 'run-closed' || kind === 'undo-started')) return false;
  const objectives = objectivesOf(events, now);
  if (objectives !== undefined) return objectives.rto.actualMs === null;
  return events.some(({ kind }) => kind === 'plan-opened') && !planProven(events);
}

/** A plan has proven all its servers when its step over them is done, and nobody has gone back since. */
function planProven(events: readonly RunEvent[]): boolean {
  const last = events.findLast(
    ({ kind, step, item }) => kind === 'rewound' || (kind === 'step-done' && step === 'recover' && item === null),
  );
  return last?.kind === 'step-done';
}

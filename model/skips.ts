/** What people skipped in a run, folded event by event: which step or item, who did it, when and why. */
import type { RunEvent } from './events';
import type { Provenance } from './order';

export interface Skip {
  readonly step: string;
  /** null: the step as a whole. */
  readonly item: string | null;
  /** Its undo was skipped: what it made may still be there. */
  readonly undo: boolean;
  readonly reason: string;
  readonly by: Provenance;
  readonly at: string;
}

/** Nobody decided so: the run went on without it when its time was over. */
export const isGivenUp = ({ by }: Pick<Skip, 'by'>): boolean => by.actor.kind === 'workflow';

/** A row of a list is no record: the whole reason stands there. */
const longestReason = 500;

/** One event more. The same list where it changes nothing. `isUndo`: whether the parking with this epoch is one of an undo. */
export function nextSkips(
  skips: readonly Skip[],
  event: RunEvent,
  isUndo: (epoch: number) => boolean,
): readonly Skip[] {
  const { step, item, by, at } = event;
  if (step === null) return skips;
  const add = (reason: string, undo: boolean): readonly Skip[] => [
    ...skips.filter((one) => one.step !== step || one.item !== item || one.undo !== undo),
    { step, item, undo, reason: reason.slice(0, longestReason), by, at },
  ];
  switch (event.kind) {
    case 'decided':
      return event.data.decision === 'skip' ? add(event.data.reason, isUndo(event.data.epoch)) : skips;
    case 'step-skipped':
      // The end of what was decided before; or of a step that a correction has taken out of the order.
      return skips.some((one) => one.step === step && !one.undo) ? skips : add(event.data.reason, false);
    default:
      return skips;
  }
}

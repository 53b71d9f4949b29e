/** Where a script stands in a run: an item of its step, `script:NAME`, with rules of its own for people. */
import type { StepDeclaration } from '../steps';
import type { Mode } from '../order';
import type { Script } from './runbook';

const prefix = 'script:';

export const scriptItem = ({ name }: Pick<Script, 'name'>): string => `${prefix}${name}`;

export const isScriptItem = (item: string | null): item is string => item?.startsWith(prefix) === true;

/** What people are told of a script that is stuck: it can always be skipped, and takes no corrected value. */
export function declarationOfScript(step: StepDeclaration, item: string): StepDeclaration {
  const name = item.slice(prefix.length);
  return {
    ...step,
    title: `${step.title}: script ${name}`,
    remedy: `Read its output in the evidence, mend what it names, then retry: it is run again from its start. Or do by hand what ${name} would have done, and skip it with that reason.`,
    undo: null,
    perDisk: false,
    skippable: true,
    provides: [],
  };
}

export type ScriptOccasion = Script['in'][number];

/** What scripts may do at a step. */
export interface StepMoments {
  /** When it is done at all. */
  readonly in: readonly ScriptOccasion[];
  /** Moments of it at which the guest runs. */
  readonly guest: readonly Script['when'][];
  /** Whether one may take the place of its effect: nothing goes on with its result, and it is no proof. */
  readonly replaceable: boolean;
}

/**
 * When a step of a run is done. A failback is a recovery in the other direction: which of the two it is, is settled when the
 * order is made, so a recovery's order holds only scripts of its own direction.
 */
export function occasionsOf(mode: Mode, cleansUp: boolean): readonly ScriptOccasion[] {
  if (cleansUp) return ['clean-up'];
  return mode === 'rehearsal' ? ['rehearsal'] : ['recovery', 'failback'];
}

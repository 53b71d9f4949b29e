/** What scripts may do at the steps of a server's runs, as the procedures declare them. */
import type { Inventory } from '../../model/runbook/check';
import type { Script } from '../../model/runbook/runbook';
import type { ScriptOccasion, StepMoments } from '../../model/runbook/script-places';
import { provingStep, type StepDeclaration } from '../../model/steps';
import { procedures } from '../../workflows/procedures';

/** Their result is what the run is believed by: a program's end is none. */
const proofs: readonly string[] = [provingStep, 'prove-isolation', 'prove-clean'];
/** People are asked there, no effect is; and the networks of a runbook's servers are the plan's, which makes and removes them. */
const withoutScripts: readonly string[] = ['try-out', 'await-plan', 'make-networks', 'remove-networks'];
const starts = 'power-on';
const ends = 'switch-off';
const always: readonly Script['when'][] = ['before', 'after', 'instead'];

/** Of a server's recovery, then what rehearsals have beside, in the order of their steps. */
export function stepsOfServers(): Required<Pick<Inventory, 'steps' | 'moments'>> {
  const moments = new Map<string, StepMoments>();
  const cleanUp = stepsOf('rehearsal-clean-up');
  const cleansUp = new Set(cleanUp.map(({ id }) => id));
  const add = (steps: readonly StepDeclaration[], occasions: readonly ScriptOccasion[]): void => {
    for (const { id, skippable } of steps) {
      if (withoutScripts.includes(id)) continue;
      const before = moments.get(id);
      moments.set(id, {
        in: [...(before?.in ?? []), ...occasions],
        guest: before?.guest ?? guestAt(id, steps),
        replaceable: skippable && !proofs.includes(id),
      });
    }
  };
  add(stepsOf('push-button-recovery'), ['recovery', 'failback']);
  add(
    stepsOf('rehearsal').filter(({ id }) => !cleansUp.has(id)),
    ['rehearsal'],
  );
  add(cleanUp, ['clean-up']);
  return { steps: [...moments.keys()], moments };
}

const stepsOf = (procedure: string): readonly StepDeclaration[] => procedures[procedure]?.steps ?? [];

function guestAt(step: string, steps: readonly StepDeclaration[]): readonly Script['when'][] {
  const ids = steps.map(({ id }) => id);
  if (step === starts) return ['after'];
  if (step === ends) return ['before', 'instead'];
  return ids.includes(starts) && ids.indexOf(step) > ids.indexOf(starts) ? always : [];
}

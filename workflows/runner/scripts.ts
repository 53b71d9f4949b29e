/**
 * A runbook's scripts at the steps of a run: before, after or instead of the step's effect, each as attempts of that step with
 * the item `script:NAME` in the loop that every effect has (attempts.ts). A person may skip each; none is undone by itself. A
 * rehearsal that is undone runs those of its clean-up at the undo of what their step would have taken back.
 */
import type { EffectInput, Outcome, ScriptInput, ScriptResult } from '../../activities/contract';
import type { RecoveryOrder } from '../../model/order';
import type { Script } from '../../model/runbook/runbook';
import { occasionsOf, scriptItem, type ScriptOccasion } from '../../model/runbook/script-places';
import { provingStep } from '../../model/steps';
import { settle } from './attempts';
import { keyOf } from './run';
import type { Act, Run, RunOrder } from './run';
import type { Around } from './steps';

/** The activity that runs one script. */
export type RunScript = (input: ScriptInput) => Promise<Outcome<ScriptResult>>;

/** Delays between attempts of a script; how many there are is the script's own. */
const retry = { firstDelayMs: 2_000, factor: 2, maxDelayMs: 60_000 };

/** What the order wants done around this step; undefined: nothing, and the step runs as if there were no scripts. */
export function scriptsAround(run: Run, step: string, runScript: RunScript, cleansUp = false): Around | undefined {
  const occasions = occasionsOf(run.order.mode, cleansUp);
  const here = (run.order.scripts ?? []).filter((script) => isAt(script, step, occasions));
  if (here.length === 0) return undefined;
  const act = (script: Script): Act<ScriptResult> => {
    return (input) => runScript({ ...input, script, wave: null });
  };
  const all = (when: Script['when']) => runScripts(run, step, ofMoment(here, when), act);
  return {
    before: async () => void (await all('before')),
    after: async () => void (await all('after')),
    // The result of other steps is needed; a runbook's check refuses it, and here the step does its own work.
    instead: ofMoment(here, 'instead').length === 0 || !run.declared(step).skippable ? null : () => all('instead'),
  };
}

/**
 * Scripts of this step of the clean-up, when the run is undone and never comes to it. One that needs the guest runs only where the
 * guest has run. Why people, or nobody in time, had them skipped, in words.
 */
export async function scriptsWhenUndone(
  run: Run,
  step: string,
  moments: readonly Script['when'][],
  runScript: RunScript,
): Promise<string[]> {
  const skipped: string[] = [];
  for (const script of run.order.scripts ?? []) {
    const place = { step, item: scriptItem(script) };
    if (!moments.includes(script.when) || !isAt(script, step, ['clean-up']) || run.memory.has(keyOf(place))) continue;
    if (script.run.on === 'guest' && !run.memory.has(provingStep)) {
      run.emit('noted', { message: `Script ${script.name} was not run: its guest never came up.` }, place);
      continue;
    }
    const act: Act<ScriptResult> = (input) => runScript({ ...input, script, wave: null });
    const reason = await runOne(run, step, script, act, true);
    if (reason !== null) skipped.push(`${keyOf(place)}: ${reason}`);
  }
  return skipped;
}

/**
 * Scripts before or after a wave, on a worker of the site of the wave's first server, whose order stands for the wave's.
 * Does nothing where the runbook has none.
 */
export async function waveScripts<O extends RunOrder>(
  run: Run<O>,
  { step, wave, when }: { readonly step: string; readonly wave: string; readonly when: Script['when'] },
  scripts: readonly Script[],
  { order, occasions }: { readonly order: RecoveryOrder; readonly occasions: readonly ScriptOccasion[] },
  runScript: RunScript,
): Promise<void> {
  const here = ofMoment(scripts, when).filter(
    ({ at, in: wanted }) => at.kind === 'wave' && at.wave === wave && wanted.some((one) => occasions.includes(one)),
  );
  if (here.length === 0) return;
  run.announce(step);
  await runScripts<O>(
    run,
    step,
    here,
    (script) =>
      ({ effect }) =>
        runScript({ effect, order, script, wave }),
  );
}

const ofMoment = (scripts: readonly Script[], moment: Script['when']): Script[] =>
  scripts.filter(({ when }) => when === moment);

const isAt = ({ at, in: wanted }: Script, step: string, occasions: readonly ScriptOccasion[]): boolean =>
  at.kind === 'step' && at.step === step && wanted.some((one) => occasions.includes(one));

/** One after the other, as the runbook names them. Null: none was skipped; otherwise why the last one was. */
async function runScripts<O extends RunOrder>(
  run: Run<O>,
  step: string,
  scripts: readonly Script[],
  act: (script: Script) => Act<ScriptResult, O>,
): Promise<string | null> {
  let skipped: string | null = null;
  for (const script of scripts) skipped = (await runOne(run, step, script, act(script))) ?? skipped;
  return skipped;
}

async function runOne<O extends RunOrder>(
  run: Run<O>,
  step: string,
  script: Script,
  act: Act<ScriptResult, O>,
  undo = false,
): Promise<string | null> {
  const place = { step, item: scriptItem(script) };
  if (run.memory.has(keyOf(place))) return null;
  const again: Act<ScriptResult, O> = (input) => {
    sayAgain(run, input, script);
    return act(input);
  };
  const settled = await settle(run, place, again, undo, { retry: { ...retry, maxAttempts: script.attempts } });
  const warned = !settled.skipped && settled.value.meaning === 'warning';
  run.memory.set(keyOf(place), { value: null, exception: settled.skipped || warned });
  if (warned) run.emit('noted', { message: `Script ${script.name} ended with a warning.` }, place);
  if (!settled.skipped) return null;
  run.emit('step-skipped', { reason: settled.reason }, place);
  return settled.reason;
}

/** A program that was ended in the middle has done what it had done by then, and nobody knows how much. */
function sayAgain<O extends RunOrder>(run: Run<O>, { effect }: Pick<EffectInput, 'effect'>, { name }: Script): void {
  if (effect.attempt === 1) return;
  const message = `Script ${name} is run again from its start; attempt ${effect.attempt - 1} may have done a part of its work.`;
  run.emit('noted', { message }, { step: effect.step, item: effect.item ?? undefined });
}

/** A runbook's scripts before the first server of a wave and after its last. */
import type { PlanOrder } from '../model/plan';
import type { PlanStep } from './plan.steps';
import { waveScripts } from './runner/scripts';
import type { Run } from './runner/run';
import { activitiesAt } from './site-activities';

const step: PlanStep = 'scripts';

/** Resolves when all of them are done or skipped, at once where there are none; a wave without servers has none. */
export async function scriptsOfWave(run: Run<PlanOrder>, wave: string, when: 'before' | 'after'): Promise<void> {
  const { plan, servers, mode } = run.order;
  const first = servers.find((server) => server.wave === wave)?.order;
  if (first === undefined) return;
  const occasion = mode === 'rehearsal' ? 'rehearsal' : plan.direction;
  const site = activitiesAt(first.target.siteId);
  await waveScripts(run, { step, wave, when }, plan.scripts, { order: first, occasions: [occasion] }, (input) =>
    site.runScript(input),
  );
}

/** When every wave is done: the step ends where it had something to do. */
export function scriptsOfWavesDone(run: Run<PlanOrder>): void {
  const count = [...run.memory.keys()].filter((key) => key.startsWith(`${step}/`)).length;
  if (count > 0) run.emit('step-done', { result: { scripts: count } }, { step });
}

/** How many servers were recovered at the same time, by what really changed at the site: from a run's first effect to its last. */
import { readEffects } from '../../platforms/simulated/effects';
import type { ServerOfPlan } from '../../model/plan';
import type { World } from './world';

/** Ask before anything is committed: what that does comes when nobody is counted any more. Each of them has to have run. */
export async function mostAtOnce(world: World, servers: readonly ServerOfPlan[]): Promise<number> {
  const effects = await readEffects(world.recovery.site.folder);
  const spans = servers.map(({ name, order: { runId } }) => {
    const times = effects.flatMap((effect) => (effect.runId === runId ? [effect.at] : [])).sort();
    if (times.length < 2) throw new Error(`${name} changed nothing at the site: it did not run.`);
    return { from: times[0]!, to: times.at(-1)! };
  });
  const startedDuring = ({ from }: { from: string }) => spans.filter((one) => one.from <= from && from < one.to).length;
  return Math.max(...spans.map(startedDuring));
}

/** What a rehearsal of a runbook has in place of the commit: isolated networks, people who try it, and cleaning up. */
import type { PlanOrder } from '../model/plan';
import type { ChildRuns } from './plan-children';
import type { PlanStep } from './plan.steps';
import { passGate } from './runner/gates';
import type { Act, Run } from './runner/run';
import * as steps from './runner/steps';

/** The networks of the whole plan: made before its first server, removed after its last. */
export interface PlanNetworks {
  readonly make: Act<unknown, PlanOrder>;
  readonly remove: Act<void, PlanOrder>;
}

/** null: the servers of this plan need none made for them. */
const networksOf = (_order: PlanOrder): PlanNetworks | null => null;

const noNetworks = 'Its servers need no networks made for them.';

export async function makeNetworks(run: Run<PlanOrder>): Promise<void> {
  const networks = networksOf(run.order);
  if (networks === null) return steps.notApplicable(run, id('make-networks'), noNetworks);
  await steps.step(run, id('make-networks'), networks.make, { undo: networks.remove });
}

/** The gate that the runbook names for it. */
export async function tryOut(run: Run<PlanOrder>, children: ChildRuns): Promise<void> {
  const { plan } = run.order;
  const name = plan.rehearsal.tryOut;
  const gate = name === null ? undefined : plan.gates[name];
  if (name === null || gate === undefined)
    return steps.notApplicable(run, id('try-out'), 'The runbook asks nobody to try it.');
  if (run.memory.has('try-out')) return;
  run.announce(id('try-out'));
  const proven = `${children.words('proven', run.order)} are proven`;
  await passGate(run, { step: id('try-out'), item: null }, gate, { name, proven, next: 'everything is cleaned up' });
  run.memory.set('try-out', { value: null, exception: false });
  run.emit('step-done', { result: null }, { step: id('try-out') });
}

/** Tells every server's run to clean up; then nothing is plugged into the networks any more. */
export async function cleanUp(run: Run<PlanOrder>, children: ChildRuns): Promise<void> {
  const { failed } = await steps.step(run, id('clean-up'), () =>
    children.finish('clean-up', 'The rehearsal is over: everything is cleaned up.'),
  );
  if (failed.length > 0) run.memory.set('clean-up', { value: { failed }, exception: true });
  const networks = networksOf(run.order);
  if (networks === null) return steps.notApplicable(run, id('remove-networks'), noNetworks);
  await steps.step(run, id('remove-networks'), networks.remove);
}

const id = (step: PlanStep): PlanStep => step;

/** What a rehearsal of a runbook has in place of the commit: isolated networks, people who try it, and cleaning up. */
import type { Outcome } from '../activities/contract';
import { everyServerOf } from '../model/every-server';
import type { RecoveryOrder } from '../model/order';
import type { PlanOrder } from '../model/plan';
import { networksBySite } from '../model/rehearsal';
import { isException } from './plan-child';
import type { ChildRuns } from './plan-children';
import { provenWords } from './plan-standing';
import type { PlanStep } from './plan.steps';
import { passGate } from './runner/gates';
import type { Act, Run } from './runner/run';
import * as steps from './runner/steps';
import { activitiesAt } from './site-activities';

/** The networks of the whole plan: made before its first server, removed after its last. */
export interface PlanNetworks {
  readonly make: Act<unknown, PlanOrder>;
  readonly remove: Act<unknown, PlanOrder>;
}

/** null: the servers of this plan need none made for them, or an outer plan makes them. */
function networksOf(plan: PlanOrder): PlanNetworks | null {
  const orders = everyServerOf(plan).map(({ order }) => order);
  const sites = [...networksBySite(orders, (ownerRunId) => ownerRunId === plan.runId).values()];
  if (sites.length === 0) return null;
  return {
    make: ({ effect }) => eachSite(sites, (order) => activitiesAt(order.target.siteId).makeNetworks({ effect, order })),
    remove: ({ effect }) =>
      eachSite(sites, (order) => activitiesAt(order.target.siteId).removeNetworks({ effect, order })),
  };
}

/** One attempt over all sites, one after the other; what was done at an earlier one is found done when it is tried again. */
async function eachSite<T>(
  orders: readonly RecoveryOrder[],
  act: (order: RecoveryOrder) => Promise<Outcome<T>>,
): Promise<Outcome<T[]>> {
  const all: Outcome<T>[] = [];
  for (const order of orders) all.push(await act(order));
  return {
    ...all.at(-1)!,
    result: all.map(({ result }) => result),
    durationMs: all.reduce((sum, { durationMs }) => sum + durationMs, 0),
    evidence: all.flatMap(({ evidence }) => evidence),
  };
}

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
  const proven = provenWords(run, children);
  await passGate(run, { step: id('try-out'), item: null }, gate, { name, proven, next: 'everything is cleaned up' });
  run.memory.set('try-out', { value: null, exception: false });
  run.emit('step-done', { result: null }, { step: id('try-out') });
}

/** Tells every server's run to clean up; then nothing is plugged into the networks any more. */
export async function cleanUp(run: Run<PlanOrder>, children: ChildRuns): Promise<void> {
  const finished = await steps.step(run, id('clean-up'), () =>
    children.finish('clean-up', 'The rehearsal is over: everything is cleaned up.'),
  );
  if (isException(finished)) run.memory.set('clean-up', { value: finished, exception: true });
  const networks = networksOf(run.order);
  if (networks === null) return steps.notApplicable(run, id('remove-networks'), noNetworks);
  await steps.step(run, id('remove-networks'), networks.remove);
}

const id = (step: PlanStep): PlanStep => step;

/** Limits of a plan hold over all that it includes, together with those of what it includes; and places come back from whoever ends. */
import { v7 } from 'uuid';
import { everyServerOf } from '../../model/every-server';
import type { PartOfPlan, PlanOrder } from '../../model/plan';
import type { LimitsOfPlaces } from '../../model/runbook/places';
import { abortUpdate, planWorkflowId } from '../../workflows/messages';
import { mostAtOnce } from '../support/at-once';
import { ines } from '../support/order';
import { planOfLost, type Planned } from '../support/plan';
import { childOf, decideAt, holdAt, lookAt, parkedAt, startPlan, until } from '../support/plan-runs';
import { keepHistory, openWorld, type World } from '../support/world';
import { runWorkers } from '../support/world-worker';

let world: World;
let workers: { stop(): Promise<void> };
beforeAll(async () => {
  world = await openWorld({ ownWorkers: true });
  workers = await runWorkers(world.settings);
}, 60_000);
afterAll(async () => {
  await workers?.stop();
  await world?.close();
});

type Limits = Partial<LimitsOfPlaces>;
const limitsOf = (limits: Limits) => ({ atOnce: null, sites: {}, datastores: {}, boots: {}, ...limits });
const asks: Planned = { wave: 'one', order: { powerOn: 'decision' } };
const plain: Planned = { wave: 'one' };

/** An included runbook; servers whose names begin with `slow` are in that datastore. */
async function included(
  name: string,
  servers: Record<string, Planned>,
  limits: Limits = {},
  parts: readonly PartOfPlan[] = [],
): Promise<PartOfPlan> {
  const order = await planOfLost(world, servers, { limits: limitsOf(limits) });
  const placed = order.servers.map((one) => ({ ...one, datastore: one.name.startsWith('slow') ? 'slow' : null }));
  const runbook = { ...order.runbook, name, title: name };
  return { name, after: [], order: { ...order, runbook, servers: placed, parts, reminderMs: 500 } };
}

/** Asks for no place before it is let go on, so that who has the first one is no race. Below 1: what the plan above says later, counts. */
const held = ({ order, ...part }: PartOfPlan): PartOfPlan => ({
  ...part,
  order: { ...order, startsHeld: { n: 0.5, held: true, reason: 'After the first', by: ines } },
});

/** Lets a plan go on, and returns when it has asked for a place: what has none then is refused one, and not just late. */
async function letAsk({ order }: PartOfPlan): Promise<void> {
  await until(async () => (await lookAt(planOf(order))).state === 'held');
  await holdAt(planOf(order), 'go-on', { kind: 'run' });
  await until(async () =>
    JSON.stringify((await planOf(order).fetchHistory()).events).includes('signalExternalWorkflowExecutionInitiated'),
  );
}

/** A runbook without servers of its own. */
function evacuation(limits: Limits, parts: readonly PartOfPlan[]): PlanOrder {
  const { order } = parts[0]!;
  const plan = { ...order.plan, waves: [], limits: limitsOf(limits) };
  return { ...order, runId: v7(), plan, servers: [], parts };
}

const planOf = ({ tenantId, runId }: PlanOrder) => world.client.workflow.getHandle(planWorkflowId(tenantId, runId));
const stateOf = async (name: string) => (await world.recovery.platform.find(`${name}-recovered`))?.power;
test('limits by site and datastore hold over all included runbooks, two deep, together with their own', async () => {
  const deep = await included('deep', { p1: plain, slow1: plain });
  const first = await included('first', { p2: plain, p3: plain, p4: plain }, { atOnce: 1 });
  const second = await included('second', { p5: plain, slow2: plain, slow3: plain }, {}, [deep]);
  const order = evacuation({ sites: { recovery: 3 }, datastores: { slow: 1 } }, [first, second]);
  const handle = await startPlan(world, order);
  await until(async () => (await stateOf('p2')) !== undefined);
  // Who decides on places is taken up by another worker.
  await workers.stop();
  workers = await runWorkers(world.settings);
  const gate = await parkedAt(handle, 'commit');
  const all = everyServerOf(order);
  expect(await mostAtOnce(world, all)).toBe(3);
  expect(await mostAtOnce(world, first.order.servers)).toBe(1);
  expect(
    await mostAtOnce(
      world,
      all.filter(({ datastore }) => datastore === 'slow'),
    ),
  ).toBe(1);
  await decideAt(handle, gate, 'commit');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  await keepHistory(handle, 'plan-gives-places');
  await keepHistory(planOf(second.order), 'plan-asks-for-places');
}, 300_000);

test('one that waits for people keeps its place, one that is aborted gives it back; who waits for one can be held and aborted', async () => {
  const parts = [
    await included('first', { q1: asks, q2: plain }),
    held(await included('second', { q3: asks })),
    held(await included('third', { q4: plain })),
  ] as const;
  const [first, second, third] = parts;
  const order = evacuation({ atOnce: 1 }, parts);
  const handle = await startPlan(world, order);
  await until(async () => (await stateOf('q1')) === 'off');
  for (const part of [second, third]) await letAsk(part);
  expect(await Promise.all(['q2', 'q3', 'q4'].map(stateOf))).toEqual([undefined, undefined, undefined]);
  await holdAt(handle, 'hold', { kind: 'run' });
  for (const { order: part } of [second, third]) await until(async () => (await lookAt(planOf(part))).state === 'held');
  await planOf(first.order).executeUpdate(abortUpdate, { args: [{ reason: 'Not this one', by: ines }] });
  await decideAt(handle, await parkedAt(handle, 'include'), 'skip');
  expect(await Promise.all(['q1', 'q2', 'q3', 'q4'].map(stateOf))).toEqual(Array.from({ length: 4 }, () => undefined));
  await holdAt(planOf(second.order), 'go-on', { kind: 'run' });
  await until(async () => (await stateOf('q3')) === 'off');
  await holdAt(handle, 'go-on', { kind: 'run' });
  await until(async () => (await lookAt(planOf(third.order))).state === 'running');
  expect(await Promise.all(['q2', 'q4'].map(stateOf))).toEqual([undefined, undefined]);
  // Temporal's own cancel is an abort from outside Muster; of a plan that waits for a place, too.
  await planOf(third.order).cancel();
  await until(async () => (await world.store.runs.get(third.order.runId))?.state === 'aborted');
  await handle.executeUpdate(abortUpdate, { args: [{ reason: 'Wrong site', by: ines }] });
  expect(await handle.result()).toMatchObject({ state: 'aborted' });
  expect(await Promise.all(['q1', 'q2', 'q3', 'q4'].map(stateOf))).toEqual(Array.from({ length: 4 }, () => undefined));
  expect((await world.store.runs.get(third.order.runId))?.state).toBe('aborted');
  expect(await world.store.runs.get(third.order.servers[0]!.order.runId)).toBeUndefined();
}, 300_000);

test('where the plan that gives places, or one between, was ended outside Muster, what it included goes on alone', async () => {
  const below = held(await included('below', { r1: plain }));
  const between = await included('between', { r2: asks }, {}, [below]);
  const other = held(await included('other', { r3: asks, r4: plain }, { atOnce: 1 }));
  const order = evacuation({ atOnce: 1 }, [between, other]);
  const handle = await startPlan(world, order);
  await until(async () => (await stateOf('r2')) === 'off');
  for (const part of [below, other]) await letAsk(part);
  await planOf(between.order).terminate('by hand');
  await until(async () => (await stateOf('r1')) === 'on');
  // The place of r2 is free: its plan is no more.
  await until(async () => (await stateOf('r3')) === 'off');
  await handle.terminate('by hand');
  const r3 = childOf(world, other.order, 'r3');
  expect(await stateOf('r4')).toBeUndefined();
  await decideAt(r3, await parkedAt(r3, 'power-on'), 'approve');
  await until(async () => (await stateOf('r4')) === 'on');
  expect(await mostAtOnce(world, other.order.servers)).toBe(1);
  const alone = (await lookAt(planOf(other.order))).events.filter(({ kind }) => kind === 'noted');
  expect(alone).toMatchObject([{ data: { message: expect.stringContaining('its own limits alone hold') } }]);
  await parkedAt(planOf(other.order), 'await-plan');
}, 300_000);

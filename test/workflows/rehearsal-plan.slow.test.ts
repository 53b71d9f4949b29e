/** The rehearsal of a runbook: its servers share networks that are the plan's, and with its end nothing is left of any. */
import { v7 } from 'uuid';
import type { RecoveryOrder } from '../../model/order';
import type { PlanOrder, ServerOfPlan } from '../../model/plan';
import {
  decideUpdate,
  liveRunQuery,
  lockOf,
  planWorkflowId,
  workflowQueue,
  type Parking,
} from '../../workflows/messages';
import { ines } from '../support/order';
import { planOfRehearsed } from '../support/plan';
import { reportOfPlan } from '../support/plan-runs';
import { filesOfSite } from '../support/rehearsal';
import { keepHistory, openWorld, type World } from '../support/world';

let world: World;
beforeAll(async () => {
  world = await openWorld();
}, 60_000);
afterAll(async () => world?.close());

const startPlan = (order: PlanOrder) =>
  world.client.workflow.start('plan', {
    ...{ taskQueue: workflowQueue, workflowId: planWorkflowId(order.tenantId, order.runId), args: [order] },
  });
const rest = () => new Promise((resolve) => setTimeout(resolve, 50));
const isOn = async (name: string) => (await world.recovery.platform.find(name))?.power === 'on';

/** What the server's run waits with; waits for it. */
async function parkedAt(name: ServerOfPlan): Promise<Parking> {
  const run = world.client.workflow.getHandle(lockOf(name.order));
  for (;;) {
    const seen = await run.query(liveRunQuery).catch(() => undefined);
    if (seen?.parkings[0] !== undefined) return seen.parkings[0];
    await rest();
  }
}

test('two servers are rehearsed in one network of the plan, which goes with its last machine', async () => {
  const { order, network } = await planOfRehearsed(world, { p1: {}, p2: { powerOn: 'decision' } });
  const { runId, servers } = order;
  const before = await filesOfSite(world);
  const handle = await startPlan(order);
  const second = world.client.workflow.getHandle(lockOf(servers[1]!.order));
  const parking = await parkedAt(servers[1]!);
  while (!(await isOn('p1-rehearsal'))) await rest();
  expect(parking.step).toBe('power-on');
  const made = (await world.recovery.platform.networks()).find(({ name }) => name === network);
  expect(made).toMatchObject({ owner: { runId }, uplinks: [] });
  expect(made?.plugged.map(({ machine }) => machine).sort()).toEqual(['p1-rehearsal', 'p2-rehearsal']);
  const { step, item, epoch } = parking;
  await second.executeUpdate(decideUpdate, {
    args: [{ step, item, epoch, decision: 'approve', reason: 'go', from: null, input: null, by: ines }],
  });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  await keepHistory(handle, 'plan-rehearsed');
  await keepHistory(second, 'rehearsed-in-plan');
  expect(await filesOfSite(world)).toEqual(before);
  expect(await world.recovery.platform.networks()).toEqual([]);
  const report = await reportOfPlan(world, order);
  expect(report.headline.title).toBe('Rehearsed and proven');
  expect(report.rehearsed).toMatchObject({
    servers: servers.map(({ name }) => ({
      ...{ name, rehearsed: { isolation: { cards: 1, networks: [network] }, clean: { verdict: 'clean', left: [] } } },
    })),
    networks: { made: [network], gone: [{ siteId: 'recovery', gone: [network] }] },
  });
});

/** A plan that includes another one, and makes its networks. */
function including({ runId, ...included }: PlanOrder): PlanOrder {
  const part = { name: 'network', after: [], order: { ...included, runId: v7() } };
  return { ...included, runId, plan: { ...included.plan, waves: [] }, servers: [], parts: [part] };
}

test.each([
  ['is proven already', 'y1', 'y2', false],
  ['waits for people', 'y4', 'y3', false],
  ['is in an included runbook', 'y5', 'y6', true],
])(
  'a server that %s is recovered: the whole rehearsal ends and cleans up, and nobody is asked',
  async (_which, lost, other, isIncluded) => {
    const [first, second] = [lost, other].sort() as [string, string];
    const { order } = await planOfRehearsed(world, { [first]: {}, [second]: { powerOn: 'decision' } });
    const whole = isIncluded ? including(order) : order;
    const handle = await startPlan(whole);
    const { tenantId, runId } = isIncluded ? whole.parts[0]!.order : whole;
    const plan = world.client.workflow.getHandle(planWorkflowId(tenantId, runId));
    await parkedAt(order.servers[1]!);
    const proven = async () =>
      (await plan.query(liveRunQuery)).events.some(
        ({ kind, item }) => kind === 'attempt-succeeded' && item === order.servers[0]!.name,
      );
    while (!(await proven())) await rest();
    const { server } = order.servers.find(({ name }) => name === lost)!.order;
    await world.production.platform.power({ name: lost, owner: null }, 'off');
    const recovery = await world.start(world.order(server, { finalCycle: 'never' }));
    const { state, summary } = (await handle.result()) as { state: string; summary: string };
    expect(state).toBe('aborted');
    expect(summary).toContain(`A recovery of ${lost} has begun (run ${recovery.runOrder.runId})`);
    expect(await recovery.result()).toMatchObject({ state: 'succeeded' });
    if (!isIncluded) await keepHistory(handle, 'plan-gave-way');
    for (const one of [plan, handle]) {
      const { events, state: ended } = await one.query(liveRunQuery);
      expect(ended).toBe('aborted');
      expect(events.filter(({ kind }) => kind === 'parked' || kind === 'gate-opened')).toEqual([]);
    }
    const machines = (await world.recovery.platform.list()).map(({ name }) => name);
    expect(machines.filter((name) => name.endsWith('-rehearsal'))).toEqual([]);
    expect(machines).toContain(`${lost}-recovered`);
    expect(await world.recovery.platform.networks()).toEqual([]);
  },
);

test('where the source is lost for all, the rehearsal gives way and nobody is asked why replication of the others stands still', async () => {
  const { order } = await planOfRehearsed(world, { z1: {}, z2: { powerOn: 'decision' } });
  const [first, second] = order.servers.map(({ order: one }) => one) as [RecoveryOrder, RecoveryOrder];
  const { replicas } = world.recovery;
  const server = { ...second.server, objectives: { ...second.server.objectives, rpoMs: 6_000 } };
  const handle = await startPlan({
    ...order,
    servers: order.servers.map((one) => (one.name === 'z2' ? { ...one, order: { ...second, server } } : one)),
  });
  const other = world.client.workflow.getHandle(lockOf(second));
  const eventsOf = async (one: typeof other) => (await one.query(liveRunQuery).catch(() => undefined))?.events ?? [];
  while (!(await eventsOf(other)).some(({ kind, step }) => kind === 'step-done' && step === 'survey')) {
    // Refused where the run has come to its freeze since: the survey is behind it then.
    await replicas.cycle(server).catch(() => undefined);
    await rest();
  }
  await parkedAt(order.servers[1]!);
  while (!(await isOn('z1-rehearsal'))) await rest();
  while (((await replicas.view(server.id))?.lagMs ?? 0) <= 6_000) await rest();

  await world.production.platform.power({ name: 'z1', owner: null }, 'off');
  const recovery = await world.start(world.order(first.server, { finalCycle: 'never' }));
  expect(await handle.result()).toMatchObject({ state: 'aborted' });
  expect(await recovery.result()).toMatchObject({ state: 'succeeded' });
  const events = await eventsOf(other);
  expect(events.filter(({ kind, data }) => kind === 'parked' && (data as { undo: boolean }).undo)).toEqual([]);
  const noted = expect.stringMatching(/gave way.*before: running, now: replicating/) as string;
  expect(events).toContainEqual(expect.objectContaining({ kind: 'noted', step: 'survey', data: { message: noted } }));
  const { facts } = (await world.store.runs.below(order.runId)).find(({ serverName }) => serverName === 'z2')!;
  expect(facts?.server?.rehearsed?.clean).toMatchObject({ verdict: 'clean', because: noted });
});

/** What a server's run and its plan tell each other: once for each, also when the run goes back; and what becomes of it without its plan. */
import type { WorkflowHandle } from '@temporalio/client';
import { v7 } from 'uuid';
import type { PlanOrder } from '../../model/plan';
import {
  abortUpdate,
  liveRunQuery,
  lockOf,
  planWorkflowId,
  verdictSignal,
  workflowQueue,
} from '../../workflows/messages';
import { ines } from '../support/order';
import { planOfLost, planOfRehearsed } from '../support/plan';
import { decide, openWorld, parked, type RunHandle, type World } from '../support/world';

let world: World;
beforeAll(async () => {
  world = await openWorld();
}, 60_000);
afterAll(async () => world?.close());

const start = (order: PlanOrder): Promise<WorkflowHandle> =>
  world.client.workflow.start('plan', {
    ...{ taskQueue: workflowQueue, workflowId: planWorkflowId(order.tenantId, order.runId), args: [order] },
  });

/** The run of its only server, once it is there. */
async function runOf({ servers }: PlanOrder): Promise<RunHandle> {
  const runOrder = servers[0]!.order;
  const handle = Object.assign(world.client.workflow.getHandle(lockOf(runOrder)), { runOrder });
  for (;;) {
    const there = await handle.query(liveRunQuery).catch(() => null);
    if (there !== null) return handle;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const waitsOf = async (plan: WorkflowHandle): Promise<string[]> =>
  (await plan.query(liveRunQuery)).events.flatMap(({ kind }) => (kind.startsWith('child-') ? [kind] : []));

test('a server that goes back to an earlier step and sticks again waits once more, and is told of once', async () => {
  const order = await planOfLost(world, { t1: { wave: 'one', order: { inoculate: false } } });
  const plan = await start(order);
  const server = await runOf(order);
  await decide(server, await parked(server), 'retry', { from: 'power-on' });
  await decide(server, await parked(server), 'skip');
  await decide(Object.assign(plan, { runOrder: server.runOrder }), await parkedPlan(plan), 'commit');
  expect(await plan.result()).toMatchObject({ state: 'succeeded-with-exceptions' });
  expect(await waitsOf(plan)).toEqual(['child-waits', 'child-goes-on', 'child-waits', 'child-goes-on']);
});

test('a rehearsal that goes back within its clean-up has its plan’s word already, and ends', async () => {
  const { order } = await planOfRehearsed(world, { t2: {} });
  const left = { name: `left-${v7()}`, owner: { tenantId: order.tenantId, runId: order.servers[0]!.order.runId } };
  await world.recovery.platform.createNetwork(left);
  const plan = await start(order);
  const server = await runOf(order);
  const stuck = await parked(server);
  expect(stuck).toMatchObject({ step: 'prove-clean', cause: expect.stringContaining(left.name) });
  await world.recovery.platform.removeNetwork(left);
  await decide(server, stuck, 'retry', { from: 'drop-disks' });
  expect(await server.result()).toMatchObject({ state: 'succeeded' });
  expect(await plan.result()).toMatchObject({ state: 'succeeded' });
});

test('aborted while it is cleaned up, a rehearsal asks nobody about the servers that are clean already', async () => {
  const { order, network } = await planOfRehearsed(world, { t4: {}, t5: {} });
  const left = { name: `left-${v7()}`, owner: { tenantId: order.tenantId, runId: order.servers[0]!.order.runId } };
  await world.recovery.platform.createNetwork(left);
  const plan = await start(order);
  const server = await runOf(order);
  const stuck = await parked(server);
  expect(stuck.step).toBe('prove-clean');
  const answer = await plan.executeUpdate(abortUpdate, { args: [{ reason: 'Wrong week', by: ines }] });
  expect(answer.standing).toContain(`t4 at prove-clean: ${stuck.cause.slice(0, 40)}`);
  expect(answer.standing).toContain(`\`muster show ${server.runOrder.runId}\``);
  const t5 = world.client.workflow.getHandle(lockOf(order.servers[1]!.order));
  expect(await t5.result()).toMatchObject({ state: 'succeeded' });
  let seen = await plan.query(liveRunQuery);
  while (seen.state === 'running') seen = await plan.query(liveRunQuery);
  expect(seen).toMatchObject({
    state: 'undoing',
    waitingChildren: [{ name: 't4', step: 'prove-clean', kind: 'stuck' }],
  });
  await world.recovery.platform.removeNetwork(left);
  await decide(server, stuck, 'retry');
  expect(await plan.result()).toMatchObject({
    state: 'aborted',
    summary: 'Aborted: Wrong week. Everything was undone.',
  });
  expect((await world.recovery.platform.networks()).map(({ name }) => name)).not.toContain(network);
});

test('a proven server whose plan was ended from outside asks people for itself', async () => {
  const order = await planOfLost(world, { t3: { wave: 'one', order: { option: 'destructive', reminderMs: 300 } } });
  const plan = await start(order);
  const server = await runOf(order);
  await parkedPlan(plan);
  await plan.terminate('somebody at Temporal');
  const asked = await parked(server);
  expect(asked).toMatchObject({
    ...{ step: 'await-plan', kind: 'gate', allowed: ['commit', 'roll-back'] },
    cause: expect.stringContaining('ended from outside Muster'),
  });
  await decide(server, asked, 'roll-back');
  expect(await server.result()).toMatchObject({ state: 'aborted' });
  expect(await world.recovery.platform.find('t3-recovered')).toBeUndefined();
});

test('a word for another run, which had the server before, is not followed', async () => {
  const order = await planOfLost(world, { t5: { wave: 'one', order: { inoculate: false } } });
  const plan = await start(order);
  const server = await runOf(order);
  const stuck = await parked(server);
  const verdict = { verdict: 'roll-back' as const, reason: 'Its plan is undone', by: ines };
  await server.signal(verdictSignal, { ...verdict, runId: v7() });
  await decide(server, stuck, 'skip');
  await decide(Object.assign(plan, { runOrder: server.runOrder }), await parkedPlan(plan), 'commit');
  expect(await plan.result()).toMatchObject({ state: 'succeeded-with-exceptions' });
});

/** All are proven. */
function parkedPlan(plan: WorkflowHandle) {
  return parked(plan as RunHandle);
}

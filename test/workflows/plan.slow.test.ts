/** The run of a runbook on a simulated site: order, consent, undoing, and servers that fail. */
import type { WorkflowHandle } from '@temporalio/client';
import type { PlanOrder, RunbookOfPlan } from '../../model/plan';
import {
  decideUpdate,
  abortUpdate,
  liveRunQuery,
  lockOf,
  planWorkflowId,
  workflowQueue,
  type Parking,
} from '../../workflows/messages';
import { mostAtOnce } from '../support/at-once';
import { ines } from '../support/order';
import { planOfLost, type Planned } from '../support/plan';
import { describeEvents, keepHistory, openWorld, type World } from '../support/world';

let world: World;
beforeAll(async () => {
  world = await openWorld();
}, 60_000);
afterAll(async () => world?.close());

const lost = (servers: Record<string, Planned>, changes: Partial<RunbookOfPlan> = {}): Promise<PlanOrder> =>
  planOfLost(world, servers, changes);

const start = (order: PlanOrder): Promise<WorkflowHandle> =>
  world.client.workflow.start('plan', {
    taskQueue: workflowQueue,
    workflowId: planWorkflowId(order.tenantId, order.runId),
    args: [order],
  });

async function parked(handle: WorkflowHandle, step: string): Promise<Parking> {
  for (;;) {
    const run = await handle.query(liveRunQuery);
    const found = run.parkings.find((parking) => parking.step === step);
    if (found !== undefined) return found;
    if (run.state !== 'running' && run.parkings.length > 0)
      throw new Error(`It waits elsewhere:\n${describeEvents(run)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const decide = (
  handle: WorkflowHandle,
  { step, item, epoch }: Parking,
  decision: 'commit' | 'roll-back' | 'skip' | 'retry' | 'approve',
) =>
  handle.executeUpdate(decideUpdate, {
    args: [{ step, item, epoch, decision, reason: 'as the test says', from: null, input: null, by: ines }],
  });

const stateOf = async (name: string) => (await world.recovery.platform.find(`${name}-recovered`))?.power;
const orderOf = async (handle: WorkflowHandle): Promise<string[]> =>
  (await handle.query(liveRunQuery)).events
    .filter(({ kind, step }) => kind === 'attempt-succeeded' && step === 'recover')
    .map(({ item }) => item ?? '');

test('servers come back wave by wave, wait for each other, and are committed together', async () => {
  const order = await lost({ web01: { wave: 'data' }, db01: { wave: 'data' }, app01: { wave: 'application' } });
  const handle = await start(order);
  const gate = await parked(handle, 'commit');
  expect(gate.cause).toBe('3 of 3 servers are proven.');
  expect((await orderOf(handle)).at(-1)).toBe('app01');
  await decide(handle, gate, 'commit');
  expect(await handle.result()).toMatchObject({ state: 'succeeded', summary: 'Web shop: 3 of 3 servers recovered.' });
  await keepHistory(handle, 'plan-committed');
  await keepHistory(world.client.workflow.getHandle(lockOf(order.servers[2]!.order)), 'recovered-in-plan');
  for (const name of ['web01', 'db01', 'app01']) expect(await stateOf(name)).toBe('on');
  const row = await world.store.runs.get(order.servers[0]!.order.runId);
  expect(row).toMatchObject({ state: 'succeeded', serverName: 'web01' });
  expect(await world.store.runs.get(order.runId)).toMatchObject({
    procedure: 'plan',
    state: 'succeeded',
    serverName: 'shop',
  });
});

test('rolled back, nothing of any server is left', async () => {
  const handle = await start(
    await lost({ a1: { wave: 'one' }, a2: { wave: 'two', order: { option: 'destructive' } } }),
  );
  await decide(handle, await parked(handle, 'commit'), 'roll-back');
  expect(await handle.result()).toMatchObject({ state: 'aborted' });
  for (const name of ['a1', 'a2']) expect(await stateOf(name)).toBeUndefined();
});

test('aborted in the middle, what was done is undone, the last first', async () => {
  const order = await lost({ b1: { wave: 'one' }, b2: { wave: 'two', order: { powerOn: 'decision' } } });
  const handle = await start(order);
  await until(async () => (await stateOf('b1')) === 'on' && (await stateOf('b2')) === 'off');
  await handle.executeUpdate(abortUpdate, { args: [{ reason: 'Wrong site', by: ines }] });
  expect(await handle.result()).toMatchObject({ state: 'aborted' });
  for (const name of ['b1', 'b2']) expect(await stateOf(name)).toBeUndefined();
  const undone = (await handle.query(liveRunQuery)).events
    .filter(({ kind }) => kind === 'step-undone')
    .map(({ item }) => item);
  expect(undone).toEqual(['b2', 'b1']);
});

/** Its own run waits at power-on until somebody aborts that, by mistake. */
async function abortedChild(name: string) {
  const order = await lost({ [name]: { wave: 'one', order: { powerOn: 'decision' } } });
  const handle = await start(order);
  await until(async () => (await stateOf(name)) === 'off');
  const server = order.servers[0]!.order;
  const child = world.client.workflow.getHandle(`${server.tenantId}/recovery/${server.server.id}`);
  await child.executeUpdate(abortUpdate, { args: [{ reason: 'By mistake', by: ines }] });
  const parking = await parked(handle, 'recover');
  expect(parking).toMatchObject({
    ...{ item: name, kind: 'stuck', allowed: expect.arrayContaining(['retry', 'skip', 'abort']) },
    cause: expect.stringContaining(`run ${server.runId} of ${name} ended as aborted`),
  });
  return { handle, child, parking, firstRunId: server.runId };
}

test('a server whose run was aborted parks the plan; retry starts a new run of it, and the plan goes on', async () => {
  const { handle, child, parking, firstRunId } = await abortedChild('c1');
  await decide(handle, parking, 'retry');
  await until(async () => (await stateOf('c1')) === 'off');
  const { runId } = await child.query(liveRunQuery);
  expect(runId).not.toBe(firstRunId);
  await decide(child, await parked(child, 'power-on'), 'approve');
  await decide(handle, await parked(handle, 'commit'), 'commit');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  expect(await world.store.runs.get(runId)).toMatchObject({ state: 'succeeded', serverName: 'c1' });
  expect(await stateOf('c1')).toBe('on');
});

test('a server that is skipped is an exception of the plan', async () => {
  const { handle, parking } = await abortedChild('c2');
  await decide(handle, parking, 'skip');
  const gate = await parked(handle, 'commit');
  expect(gate.cause).toBe('0 of 1 servers are proven. Left out by decision: c2.');
  await decide(handle, gate, 'commit');
  expect(await handle.result()).toMatchObject({ state: 'succeeded-with-exceptions' });
});

test('a step that was skipped in a server’s run is an exception of the plan, too', async () => {
  const order = await lost({ c3: { wave: 'one', order: { inoculate: false } }, c4: { wave: 'one' } });
  const handle = await start(order);
  const { tenantId, server } = order.servers[0]!.order;
  const child = world.client.workflow.getHandle(`${tenantId}/recovery/${server.id}`);
  await until(async () => (await stateOf('c3')) === 'on');
  await decide(child, await parked(child, 'prove-boot'), 'skip');
  const gate = await parked(handle, 'commit');
  expect(gate.cause).toBe('1 of 2 servers are proven. Recovered without proof, which people skipped: c3.');
  await decide(handle, gate, 'commit');
  expect(await handle.result()).toMatchObject({
    state: 'succeeded-with-exceptions',
    summary: 'Web shop: 2 of 2 servers recovered, 1 not proven.',
  });
  const ofC3 = (await handle.query(liveRunQuery)).events.filter(
    ({ kind, item }) => item === 'c3' && kind.startsWith('child-'),
  );
  expect(ofC3).toMatchObject([
    { kind: 'child-waits', data: { runId: order.servers[0]!.order.runId, step: 'prove-boot', kind: 'stuck' } },
    { kind: 'child-goes-on' },
  ]);
});

test('an optional server that stays stuck is given up and undone, and what comes after it goes on', async () => {
  const optional = { kind: 'optional' as const, giveUpAfterMs: 500 };
  const broken = { target: { ...world.order(await world.server('shape')).target, networks: { lan: 'nowhere' } } };
  const order = await lost({ d1: { wave: 'one', failure: optional, order: broken }, d2: { wave: 'two' } });
  const handle = await start(order);
  const gate = await parked(handle, 'commit');
  expect(gate.cause).toBe('1 of 2 servers are proven. Given up: d1 (undone).');
  await decide(handle, gate, 'commit');
  expect(await handle.result()).toMatchObject({ state: 'succeeded-with-exceptions' });
  expect(await stateOf('d1')).toBeUndefined();
  expect(await stateOf('d2')).toBe('on');
  expect(await world.store.runs.get(order.servers[0]!.order.runId)).toMatchObject({ state: 'failed' });
});

test('with one at a time, no two servers are recovered at once', async () => {
  const limits = { atOnce: 1, sites: {}, datastores: {}, boots: {} };
  const handle = await start(await lost({ e1: { wave: 'one' }, e2: { wave: 'one' }, e3: { wave: 'one' } }, { limits }));
  await decide(handle, await parked(handle, 'commit'), 'commit');
  await handle.result();
  const { events } = await handle.query(liveRunQuery);
  const kinds = events.flatMap(({ kind, step }) => (step === 'recover' && kind.startsWith('attempt-') ? [kind] : []));
  expect(kinds).toEqual(Array.from({ length: 3 }, () => ['attempt-started', 'attempt-succeeded']).flat());
});

test('limits by site and by datastore hold together in a plan that runs', async () => {
  const limits = { atOnce: null, sites: { recovery: 2 }, datastores: { slow: 1 }, boots: {} };
  const wave = { wave: 'one' };
  const order = await lost({ slow1: wave, slow2: wave, f1: wave, f2: wave }, { limits });
  const servers = order.servers.map((one) => ({ ...one, datastore: one.name.startsWith('slow') ? 'slow' : null }));
  const handle = await start({ ...order, servers });
  await parked(handle, 'commit');
  expect(await mostAtOnce(world, servers)).toBe(2);
  expect(await mostAtOnce(world, servers.slice(0, 2))).toBe(1);
});

async function until(fits: () => Promise<boolean>): Promise<void> {
  while (!(await fits())) await new Promise((resolve) => setTimeout(resolve, 50));
}

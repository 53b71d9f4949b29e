/** What a plan can do without: given up when its time is over, whatever it is stuck at, and what comes after it goes on. */
import { v7 } from 'uuid';
import { isolatedNetworkName } from '../../model/orders/isolated-networks';
import type { PlanOrder } from '../../model/plan';
import { writeFaults } from '../../platforms/faults';
import { abortUpdate, lockOf, workflowQueue } from '../../workflows/messages';
import { ines } from '../support/order';
import { planOfLost, planOfRehearsed } from '../support/plan';
import { childOf, decideAt, lookAt, parkedAt, reportOfPlan, startPlan, until } from '../support/plan-runs';
import { keepHistory, openWorld, type World } from '../support/world';
import { faultsFile, faulty } from '../support/world-worker';

let world: World;
beforeAll(async () => {
  world = await openWorld({ recoverySite: faulty });
}, 60_000);
afterAll(async () => world?.close());
afterEach(() => writeFaults(faultsFile(world.folder), []));

const optional = { kind: 'optional' as const, giveUpAfterMs: 500 };
const asks = { powerOn: 'decision' as const };
const abort = { args: [{ reason: 'By mistake', by: ines }] as [{ reason: string; by: typeof ines }] };
const stateOf = async (name: string) => (await world.recovery.platform.find(`${name}-recovered`))?.power;

/** One that can be done without, and one that comes after it. */
const planOf = (name: string, after: string): Promise<PlanOrder> =>
  planOfLost(world, { [name]: { wave: 'one', failure: optional, order: asks }, [after]: { wave: 'two' } });

test('one that another run holds is given up, said with the cause, and what comes after it goes on', async () => {
  const order = await planOf('a1', 'a2');
  const held = order.servers[0]!.order;
  const other = await world.start({ ...held, runId: v7() });
  await parkedAt(other, 'power-on');
  const handle = await startPlan(world, order);
  const gate = await parkedAt(handle, 'commit');
  expect(gate.cause).toBe('1 of 2 servers are proven. Given up: a1.');
  const { events } = await lookAt(handle);
  expect(events.find(({ kind, step }) => kind === 'parked' && step === 'recover')?.data).toMatchObject({
    remedy: expect.stringMatching(/Without a decision within 500 ms the plan goes on without a1\.$/),
  });
  await decideAt(handle, gate, 'commit');
  expect(await handle.result()).toMatchObject({
    state: 'succeeded-with-exceptions',
    summary: 'Web shop: 1 of 2 servers recovered.',
  });
  await keepHistory(handle, 'left-out');
  const { exceptions, waves, headline } = await reportOfPlan(world, order);
  expect(headline.title).toBe('Recovered, with 1 exception');
  expect(waves[0]).toMatchObject({ done: 1, servers: [{ name: 'a1', stage: 'failed' }] });
  expect(exceptions).toMatchObject([
    {
      ...{ what: 'a1', kind: 'failed', by: { actor: { kind: 'workflow' } } },
      reason: 'Given up after 500 ms: a1 is held by another run',
    },
  ]);
  expect((await lookAt(other)).parkings).toMatchObject([{ step: 'power-on' }]);
});

test('a rehearsal goes on without one that another rehearsal holds, within its own time, too', async () => {
  const { order } = await planOfRehearsed(world, { b1: asks, b2: {} });
  const [b1, b2] = order.servers;
  const runId = v7();
  const network = isolatedNetworkName('lan', runId);
  const isolation = { ...b1!.order.isolation!, ownerRunId: runId, networks: [network] };
  const alone = { ...b1!.order, runId, isolation, target: { ...b1!.order.target, networks: { lan: network } } };
  const holder = await world.client.workflow.start('pushButtonRecovery', {
    ...{ taskQueue: workflowQueue, workflowId: lockOf(alone), args: [alone] },
  });
  await parkedAt(holder, 'power-on');
  const hour = { kind: 'optional' as const, giveUpAfterMs: 3_600_000 };
  const short = { giveUpAfterMs: 1_000 };
  const servers = [{ ...b1!, failure: hour, order: { ...b1!.order, ...short } }, b2!];
  const handle = await startPlan(world, { ...order, ...short, servers });
  expect(await handle.result()).toMatchObject({
    state: 'succeeded-with-exceptions',
    summary: 'Web shop: 1 of 2 servers rehearsed.',
  });
  expect((await lookAt(holder)).parkings).toMatchObject([{ step: 'power-on' }]);
});

test('one that has given up keeps nobody waiting while its undo is stuck; the plan ends when it has been undone', async () => {
  const order = await planOf('c1', 'c2');
  const broken = { ...order.servers[0]!.order, powerOn: 'automatic' as const };
  const servers = [{ ...order.servers[0]!, order: broken }, order.servers[1]!];
  const fault = { error: 'OperatorError' as const, times: 1 };
  await writeFaults(faultsFile(world.folder), [
    { method: 'registerDisk', machine: 'c1-recovered', ...fault },
    { method: 'remove', machine: 'c1-recovered', ...fault },
  ]);
  const handle = await startPlan(world, { ...order, servers });
  const gate = await parkedAt(handle, 'commit');
  expect(gate.cause).toBe('1 of 2 servers are proven. Given up: c1 (not undone yet).');
  const child = childOf(world, order, 'c1');
  const stuck = await parkedAt(child, 'create-machine');
  await decideAt(handle, gate, 'commit');
  await until(async () => (await lookAt(childOf(world, order, 'c2'))).state === 'succeeded');
  expect(await lookAt(handle)).toMatchObject({ state: 'running', waitingChildren: [{ name: 'c1' }] });
  await decideAt(child, stuck, 'retry');
  expect(await handle.result()).toMatchObject({ state: 'succeeded-with-exceptions' });
  await keepHistory(handle, 'gone-on-without');
  await keepHistory(child, 'told-that-it-gave-up');
  expect([await stateOf('c1'), await stateOf('c2')]).toEqual([undefined, 'on']);
  expect((await reportOfPlan(world, order)).exceptions).toMatchObject([{ what: 'c1', kind: 'failed' }]);
});

test('one whose own run was aborted parks the plan for as long as it is waited for, and no longer', async () => {
  const order = await planOf('d1', 'd2');
  const handle = await startPlan(world, order);
  await until(async () => (await lookAt(handle)).waitingChildren?.[0]?.name === 'd1');
  await childOf(world, order, 'd1').executeUpdate(abortUpdate, abort);
  const gate = await parkedAt(handle, 'commit');
  expect(gate.cause).toBe('1 of 2 servers are proven. Given up: d1.');
  await decideAt(handle, gate, 'commit');
  expect(await handle.result()).toMatchObject({ state: 'succeeded-with-exceptions' });
  expect((await reportOfPlan(world, order)).exceptions).toMatchObject([
    {
      what: 'd1',
      kind: 'failed',
      reason: expect.stringMatching(/^Given up after 500 ms: run \S+ of d1 ended as aborted/),
    },
  ]);
});

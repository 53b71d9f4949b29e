/**
 * What comes in one task of a workflow, where its worker was lost meanwhile: the SDK hands out signals and updates first, and asks
 * conditions only afterwards. Tasks that have not all of it fail here, so that the next has.
 */
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Worker } from '@temporalio/worker';
import { v7 } from 'uuid';
import { interceptorModules } from '../../worker/bundle';
import type { Provenance } from '../../model/order';
import type { PlanOrder } from '../../model/plan';
import { dataConverter } from '../../wire/payloads';
import { lockOf, planWorkflowId } from '../../workflows/messages';
import { planOfLost, planOfRehearsed, type Planned } from '../support/plan';
import { known } from '../support/people';
import { childOf, decideAt, holdAt, lookAt, parkedAt, until } from '../support/plan-runs';
import { keepHistory, openWorld, type World } from '../support/world';
import { lateClocks, lateStarts } from './support/late-tasks';

let world: World;
let connection: NativeConnection;
let workers: Worker[] = [];
let running: Promise<void>[] = [];
let anna: Provenance;
let ben: Provenance;
beforeAll(async () => {
  world = await openWorld();
  anna = (await known(world.store, 'Anna', 'operator')).by;
  ben = (await known(world.store, 'Ben', 'operator')).by;
  const { address, namespace } = world.settings;
  const { code } = await bundleWorkflowCode({
    workflowsPath: require.resolve('../../workflows'),
    workflowInterceptorModules: [...interceptorModules, require.resolve('./support/late-tasks')],
    logger: new DefaultLogger('ERROR'),
  });
  connection = await NativeConnection.connect({ address });
  const common = { connection, dataConverter, namespace, workflowBundle: { code } };
  workers = await Promise.all([lateStarts, lateClocks].map((taskQueue) => Worker.create({ ...common, taskQueue })));
  running = workers.map((worker) => worker.run());
}, 60_000);
afterAll(async () => {
  for (const worker of workers) worker.shutdown();
  await Promise.all(running);
  await connection?.close();
  await world?.close();
});

const startOn = (taskQueue: string, order: PlanOrder) =>
  world.client.workflow.start('plan', {
    ...{ taskQueue, workflowId: planWorkflowId(order.tenantId, order.runId), args: [order] },
  });

async function startLate(planned: Record<string, Planned>) {
  const order = await planOfLost(world, planned);
  const handle = await startOn(lateStarts, order);
  // Questions fail with the tasks.
  await until(async () => {
    const run = await lookAt(handle).catch(() => null);
    return run !== null && (run.parkings.length > 0 || (run.waitingChildren ?? []).length > 0);
  });
  return { order, handle };
}

test('that a run is proven is heard with its start, and the plan comes to its end', async () => {
  const { handle } = await startLate({ proven1: { wave: 'one' } });
  await decideAt(handle, await parkedAt(handle, 'commit'), 'commit');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
});

test('that it waits for people is heard with its start, and shown', async () => {
  const { order, handle } = await startLate({ waits1: { wave: 'one', order: { powerOn: 'decision' } } });
  expect((await lookAt(handle)).waitingChildren).toMatchObject([{ name: 'waits1' }]);
  const child = childOf(world, order, 'waits1');
  await decideAt(child, await parkedAt(child, 'power-on'), 'approve');
  await decideAt(handle, await parkedAt(handle, 'commit'), 'commit');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  expect((await lookAt(handle)).waitingChildren).toEqual([]);
  await keepHistory(handle, 'heard-early');
});

test('a hold that comes with the start of the last included runbook reaches it', async () => {
  const asks = { wave: 'one', order: { powerOn: 'decision' as const } };
  const part = await planOfLost(world, { inner1: asks, inner2: { wave: 'two' } });
  const parts = [{ name: 'inner', after: [], order: part }];
  const order = { ...part, ...{ runId: v7(), servers: [], parts }, plan: { ...part.plan, waves: [] } };
  const handle = await startOn(lateStarts, order);
  await until(async () => (await handle.fetchHistory()).events!.some(isChildsStart));
  await holdAt(handle, 'hold', { kind: 'run' });
  const inner = world.client.workflow.getHandle(planWorkflowId(part.tenantId, part.runId));
  await until(async () => (await lookAt(inner)).events.some(({ kind }) => kind === 'held'));
  await holdAt(handle, 'go-on', { kind: 'run' });
  const first = childOf(world, part, 'inner1');
  await decideAt(first, await parkedAt(first, 'power-on'), 'approve');
  await decideAt(handle, await parkedAt(handle, 'commit'), 'commit');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
});
const isChildsStart = (event: { childWorkflowExecutionStartedEventAttributes?: object | null }): boolean =>
  event.childWorkflowExecutionStartedEventAttributes != null;

test('the second of two commits that comes with the end of the time is a commit', async () => {
  const access = {
    ...{ start: { roles: ['operator' as const], people: [] }, decide: { roles: ['operator' as const], people: [] } },
    fourEyes: ['commit' as const],
  };
  const commit = { kind: 'automatic' as const, act: 'commit' as const, afterMs: 8_000 };
  const order = await planOfLost(world, { late1: { wave: 'one' } }, { access, commit });
  const handle = await startOn(lateClocks, order);
  const gate = await parkedAt(handle, 'commit');
  await decideAt(handle, gate, 'commit', anna);
  expect(await decideAt(handle, gate, 'commit', ben)).toMatchObject({ standing: null });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  const decided = (await lookAt(handle)).events.filter(({ kind }) => kind === 'decided');
  expect(decided.map(({ by }) => by.actor.name)).toEqual(['Ben']);
});

test('the second of two skips that comes with the end of the patience is a skip', async () => {
  const { order: plan } = await planOfRehearsed(world, { late2: { inoculate: false } });
  const { partOf: _plan, ...one } = plan.servers[0]!.order;
  const isolation = { ...one.isolation!, ownerRunId: one.runId };
  const access = { decide: { roles: ['operator' as const], people: [] }, fourEyes: ['skip' as const] };
  const order = { ...one, isolation, access, giveUpAfterMs: 8_000 };
  const handle = await world.client.workflow.start('pushButtonRecovery', {
    ...{ taskQueue: lateClocks, workflowId: lockOf(order), args: [order] },
  });
  const stuck = await parkedAt(handle, 'prove-boot');
  await decideAt(handle, stuck, 'skip', anna);
  expect(await decideAt(handle, stuck, 'skip', ben)).toMatchObject({ standing: null });
  expect(await handle.result()).toMatchObject({ state: 'succeeded-with-exceptions' });
});

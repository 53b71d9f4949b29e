/**
 * What a run tells its plan before the plan has taken up that it has started: both come in one task of the plan, where its worker was
 * lost meanwhile, and the SDK hands out signals first. Tasks of the plan without the word fail here, so that the next has both.
 */
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Worker } from '@temporalio/worker';
import { interceptorModules } from '../../worker/bundle';
import { dataConverter } from '../../wire/payloads';
import { planWorkflowId } from '../../workflows/messages';
import { planOfLost, type Planned } from '../support/plan';
import { childOf, decideAt, lookAt, parkedAt, until } from '../support/plan-runs';
import { keepHistory, openWorld, type World } from '../support/world';

const taskQueue = 'plans-whose-task-is-late';

let world: World;
let connection: NativeConnection;
let worker: Worker;
let running: Promise<void>;
beforeAll(async () => {
  world = await openWorld();
  const { address, namespace } = world.settings;
  const { code } = await bundleWorkflowCode({
    workflowsPath: require.resolve('../../workflows'),
    workflowInterceptorModules: [...interceptorModules, require.resolve('./support/late-starts')],
    logger: new DefaultLogger('ERROR'),
  });
  connection = await NativeConnection.connect({ address });
  worker = await Worker.create({ connection, dataConverter, namespace, taskQueue, workflowBundle: { code } });
  running = worker.run();
}, 60_000);
afterAll(async () => {
  worker?.shutdown();
  await running;
  await connection?.close();
  await world?.close();
});

async function startLate(planned: Record<string, Planned>) {
  const order = await planOfLost(world, planned);
  const workflowId = planWorkflowId(order.tenantId, order.runId);
  const handle = await world.client.workflow.start('plan', { taskQueue, workflowId, args: [order] });
  // Questions fail with the tasks.
  await until(async () => {
    const run = await lookAt(handle).catch(() => null);
    return run !== null && (run.parkings.length > 0 || (run.waitingChildren ?? []).length > 0);
  });
  return { order, handle };
}

test('that it is proven is heard, and the plan comes to its end', async () => {
  const { handle } = await startLate({ proven1: { wave: 'one' } });
  await decideAt(handle, await parkedAt(handle, 'commit'), 'commit');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
});

test('that it waits for people is heard, and shown', async () => {
  const { order, handle } = await startLate({ waits1: { wave: 'one', order: { powerOn: 'decision' } } });
  expect((await lookAt(handle)).waitingChildren).toMatchObject([{ name: 'waits1' }]);
  const child = childOf(world, order, 'waits1');
  await decideAt(child, await parkedAt(child, 'power-on'), 'approve');
  await decideAt(handle, await parkedAt(handle, 'commit'), 'commit');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  expect((await lookAt(handle)).waitingChildren).toEqual([]);
  await keepHistory(handle, 'heard-early');
});

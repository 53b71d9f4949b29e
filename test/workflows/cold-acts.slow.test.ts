/**
 * People act on runs whose worker is gone: the one that takes the act reads the run from its history first. What it then does is what
 * every later worker comes to from the same history, or the run would be stuck for good at the next change of workers.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { connectTemporal, type TemporalGateway } from '../../api/temporal';
import type { DecisionKind } from '../../model/steps';
import { sessionWorkflowId, workflowQueue } from '../../workflows/messages';
import { ines } from '../support/order';
import { planOfLost } from '../support/plan';
import { childOf, parkedAt, startPlan, until } from '../support/plan-runs';
import { expectToReplay } from '../support/replays';
import { keepHistory, openWorld, type World } from '../support/world';
import { runWorkers } from '../support/world-worker';

jest.setTimeout(300_000);

let world: World;
let gateway: TemporalGateway;
let workers: Awaited<ReturnType<typeof runWorkers>>;

beforeAll(async () => {
  world = await openWorld({ ownWorkers: true });
  workers = await runWorkers(world.settings);
  const { address, namespace } = world.settings;
  gateway = connectTemporal({ address, namespace, updateDeadlineMs: 90_000 });
}, 60_000);
afterAll(async () => {
  await workers?.stop();
  await gateway?.close();
  await world?.close();
});

/** Nothing happens to it any more; what its journal rests for after a flush is over, too. */
async function atRest(handle: WorkflowHandle): Promise<void> {
  await until(async () => {
    const { events } = await handle.fetchHistory();
    const last = events!.at(-1)!;
    const restedMs = Date.now() - Number(last.eventTime!.seconds) * 1000;
    return last.workflowTaskCompletedEventAttributes != null && restedMs > 3_000;
  });
}

/** Other workers take the place of those that know the runs: before somebody acts, or when somebody has. */
async function actAmongWorkers<T>(when: 'before' | 'afterwards', act: () => Promise<T>): Promise<T> {
  await workers.stop();
  if (when === 'before') workers = await runWorkers(world.settings);
  const acted = act();
  if (when === 'afterwards') {
    await sleep(500);
    workers = await runWorkers(world.settings);
  }
  return acted;
}

async function decideCold(when: 'before' | 'afterwards', handle: WorkflowHandle, step: string, decision: DecisionKind) {
  const { item, epoch } = await parkedAt(handle, step);
  await atRest(handle);
  const { runId: temporalRunId } = (await handle.describe()) as { runId: string };
  const execution = { workflowId: handle.workflowId, temporalRunId } as Parameters<TemporalGateway['decide']>[0];
  const request = { step, item, epoch, decision, reason: 'as the test says', from: null, input: null, by: ines };
  const answer = await actAmongWorkers(when, () => gateway.decide(execution, request, `decide/${epoch}`));
  expect(answer).toMatchObject({ kind: 'accepted' });
}

test.each(['before', 'afterwards'] as const)('a run goes on from power-on, with workers that come %s', async (when) => {
  const server = await world.server(`asks-${when}`);
  const handle = await world.start(world.order(server, { powerOn: 'decision' }));
  await decideCold(when, handle, 'power-on', 'approve');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  await expectToReplay(handle);
  if (when === 'before') await keepHistory(handle, 'decided-by-new-worker');
});

test('a plan goes on from power-on of its server, and commits', async () => {
  const order = await planOfLost(world, { planned: { wave: 'one', order: { powerOn: 'decision' } } });
  const handle = await startPlan(world, order);
  const child = childOf(world, order, 'planned');
  // It is there once its plan has started it.
  await until(() =>
    child.describe().then(
      () => true,
      () => false,
    ),
  );
  await decideCold('before', child, 'power-on', 'approve');
  await decideCold('afterwards', handle, 'commit', 'commit');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  await expectToReplay(handle);
  await expectToReplay(child);
});

test('a session rests and goes on', async () => {
  const server = await world.server('protected');
  const handle = await world.client.workflow.start('replicationSession', {
    taskQueue: workflowQueue,
    workflowId: sessionWorkflowId('default', server.id),
    args: [{ tenantId: 'default', coreId: 'core1', server, by: ines }],
  });
  const change = (what: 'pause' | 'resume' | 'remove') =>
    gateway.changeSession('default', server.id, what, { reason: 'as the test says', by: ines }, what);
  await until(async () => (await world.recovery.replicas.points(server.id)).length > 1);
  expect(await actAmongWorkers('before', () => change('pause'))).toMatchObject({ kind: 'accepted' });
  expect(await actAmongWorkers('afterwards', () => change('resume'))).toMatchObject({ kind: 'accepted' });
  expect(await change('remove')).toMatchObject({ kind: 'accepted' });
  await handle.result();
  await expectToReplay(handle);
});

/**
 * A decision that finds a run without a worker comes, at the next one, in one task with what the run had heard of before, where
 * that had led to nothing: the SDK takes such tasks together (api/temporal/acts.ts). A replay takes them one by one. Here a run does
 * another thing in each of the two cases.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { bundleWorkflowCode, DefaultLogger, Worker } from '@temporalio/worker';
import { connectTemporal, type TemporalGateway } from '../../api/temporal';
import { dataConverter } from '../../wire/payloads';
import { ines } from '../support/order';
import { until } from '../support/plan-runs';
import { expectToReplay } from '../support/replays';
import { temporalForTest, type TestTemporal } from '../support/temporal';
import { restsAfterWork } from './support/rests-after-work';

let temporal: TestTemporal;
let gateway: TemporalGateway;
let code: string;
beforeAll(async () => {
  temporal = await temporalForTest();
  const { address, namespace } = temporal;
  gateway = connectTemporal({ address, namespace, updateDeadlineMs: 90_000 });
  const workflowsPath = require.resolve('./support/rests-after-work');
  ({ code } = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('ERROR') }));
}, 60_000);
afterAll(async () => {
  await gateway?.close();
  await temporal?.close();
});

test.each(['before', 'after'] as const)(
  'with a worker that comes %s the decision, a replay comes to the same',
  async (when) => {
    const taskQueue = temporal.unique(`acts-in-one-task-${when}`);
    const works: (() => void)[] = [];
    const activities = { work: () => new Promise<void>((done) => works.push(done)) };
    const newWorker = () => {
      const { nativeConnection: connection, namespace } = temporal;
      return Worker.create({ connection, namespace, taskQueue, dataConverter, activities, workflowBundle: { code } });
    };
    const workflowId = temporal.unique(`run-${when}`);
    const handle = await temporal.client.workflow.start(restsAfterWork, { taskQueue, workflowId });
    const tasksDone = async (): Promise<number> => {
      const { events } = await handle.fetchHistory();
      return events!.filter((event) => event.workflowTaskCompletedEventAttributes).length;
    };
    await (
      await newWorker()
    ).runUntil(async () => {
      await until(async () => works.length === 1);
      // Two tasks that lead to nothing.
      await handle.signal('nothing');
      await until(async () => (await tasksDone()) === 2);
      works.pop()!();
      await until(async () => (await tasksDone()) === 3);
    });
    await sleep(1_200);

    const execution = { workflowId, temporalRunId: handle.firstExecutionRunId };
    const request = {
      step: 'gate',
      item: null,
      epoch: 1,
      decision: 'approve',
      reason: 'so',
      from: null,
      input: null,
      by: ines,
    };
    const decide = () =>
      gateway.decide(execution as Parameters<TemporalGateway['decide']>[0], request as never, workflowId);
    const early = when === 'after' ? decide() : undefined;
    if (early !== undefined) await sleep(300);
    await (
      await newWorker()
    ).runUntil(async () => {
      expect(await (early ?? decide())).toMatchObject({ kind: 'accepted' });
      const working = until(async () => works.length > 0).then(() => works.pop()!());
      await Promise.race([handle.result(), working]);
      await handle.result();
    });
    await expectToReplay(handle, { code });
  },
);

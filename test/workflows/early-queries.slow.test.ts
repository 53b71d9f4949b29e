/**
 * A query waits at Temporal while no worker runs, and something happens to the run meanwhile: the worker that comes takes the
 * query first, or the run's own task. Which of them is Temporal's choice, so many runs are asked at once, three times.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type WorkflowHandle } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, Worker } from '@temporalio/worker';
import { answered } from '../../api/temporal/queries';
import { temporalForTest, type TestTemporal } from '../support/temporal';
import { interceptorModules } from '../../worker/bundle';
import { askedTooEarly } from '../../workflows/messages';
import { toldQuery, waitsForWord, word } from './support/waits-for-word';

let temporal: TestTemporal;
let code: string;
beforeAll(async () => {
  temporal = await temporalForTest();
  const workflowsPath = require.resolve('./support/waits-for-word');
  const logger = new DefaultLogger('ERROR');
  ({ code } = await bundleWorkflowCode({ workflowsPath, workflowInterceptorModules: [...interceptorModules], logger }));
}, 60_000);
afterAll(() => temporal?.close());

const atOnce = 10;

/** Runs that know nothing of the word yet, and no worker that knows of them. */
async function waitingRuns(taskQueue: string): Promise<WorkflowHandle<typeof waitsForWord>[]> {
  const { client, connection, namespace } = temporal;
  const started = Array.from({ length: atOnce }, (_, at) =>
    client.workflow.start(waitsForWord, { taskQueue, workflowId: `${taskQueue}/${at}` }),
  );
  const handles = await Promise.all(started);
  await (await newWorker(taskQueue)).runUntil(() => Promise.all(handles.map((handle) => handle.query(toldQuery))));
  for (const { workflowId } of handles) {
    await connection.workflowService.resetStickyTaskQueue({ namespace, execution: { workflowId } });
  }
  return handles;
}

function newWorker(taskQueue: string): Promise<Worker> {
  const { nativeConnection: connection, namespace } = temporal;
  return Worker.create({ connection, namespace, taskQueue, workflowBundle: { code } });
}

/** Of the task that took up the word, by Temporal's own record. */
async function taskTimeMs(handle: WorkflowHandle): Promise<number> {
  const { events } = await handle.fetchHistory();
  const told = events!.findIndex((event) => event.workflowExecutionSignaledEventAttributes);
  const started = events!.slice(told).find((event) => event.workflowTaskStartedEventAttributes)!;
  return Number(started.eventTime!.seconds) * 1000 + Math.floor(started.eventTime!.nanos! / 1e6);
}

test('what a run does is done at the time of its task, also when a query overtakes the task', async () => {
  const refused: string[] = [];
  const context = { client: temporal.client, queryDeadlineMs: 30_000 };
  for (let round = 0; round < 3; round += 1) {
    const taskQueue = temporal.unique(`early-queries-${round}`);
    const handles = await waitingRuns(taskQueue);
    const asked = handles.map((handle) =>
      answered(context, () =>
        handle.query(toldQuery).catch((error: Error) => {
          refused.push(error.message);
          throw error;
        }),
      ),
    );
    await sleep(500);
    await Promise.all(handles.map((handle) => handle.signal(word)));
    const worker = await newWorker(taskQueue);
    const times = await worker.runUntil(async () => {
      // Whoever asked through the API notices nothing.
      expect(await Promise.all(asked)).toEqual(handles.map(() => true));
      return Promise.all(handles.map((handle) => handle.result()));
    });
    for (const [at, handle] of handles.entries()) expect(times[at]).toBe(await taskTimeMs(handle));
  }
  // Otherwise no query has overtaken anything, and this test has shown nothing.
  expect([...new Set(refused)]).toEqual([expect.stringContaining(askedTooEarly)]);
}, 120_000);

/** Recovery goes before rehearsal in a site's queue, too: five rehearsals wait for a worker with one slot when a recovery comes. */
import { Client, Connection } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { recoveryWorkflowId, rehearsalWorkflowId, siteQueue } from '../../workflows/messages';
import { testTemporalAddress } from '../support/temporal';
import { caller, eventually, openTestStack, recoveryTools, siteId } from './stack';
import type { Call, RecoveryTools, TestStack } from './stack';

let stack: TestStack;
let call: Call;
let tools: RecoveryTools;
let client: Client;

beforeAll(async () => {
  stack = await openTestStack();
  client = new Client({
    connection: await Connection.connect({ address: testTemporalAddress() }),
    namespace: stack.namespace,
  });
  call = caller(stack);
  tools = recoveryTools(stack, call);
  await stack.startWorkers();
});
afterAll(async () => {
  await client?.connection.close();
  await stack?.close();
});

/** As many steps as wait in the site's queue for a worker. */
async function waiting(): Promise<number> {
  const { stats } = await client.connection.workflowService.describeTaskQueue({
    ...{ namespace: stack.namespace, taskQueue: { name: siteQueue(siteId) } },
    ...{ taskQueueType: temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY, reportStats: true },
  });
  return Number(stats?.approximateBacklogCount ?? 0);
}

/** When Temporal gave the run's first step to a worker, by its own record, in ms: what runs note of themselves comes later, in any order. */
async function givenAt(workflowId: string): Promise<number | null> {
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
  const ofSite = events!.find(
    (event) => event.activityTaskScheduledEventAttributes?.taskQueue?.name === siteQueue(siteId),
  );
  const given = events!.find((event) =>
    event.activityTaskStartedEventAttributes?.scheduledEventId?.equals(ofSite?.eventId ?? -1),
  );
  return given ? Number(given.eventTime!.seconds) * 1000 + given.eventTime!.nanos! / 1e6 : null;
}

test('the recovery that came last is worked on first', async () => {
  const rehearsed = ['rehearsed01', 'rehearsed02', 'rehearsed03', 'rehearsed04', 'rehearsed05'];
  const ids = new Map<string, string>();
  for (const name of [...rehearsed, 'lost01']) ids.set(name, await tools.protectedServer(name));
  await stack.stopWorkers();
  await stack.startWorkers({ ofSite: false });
  const rehearsal = { mode: 'rehearsal', networks: { lan: 'isolated' }, powerOn: 'decision' };
  const runs: string[] = [];
  for (const [name, changes] of [...rehearsed.map((one) => [one, rehearsal] as const), ['lost01', {}] as const]) {
    const { status, body } = await tools.push(name, changes);
    expect(status).toBe(201);
    // Its first step stands in the queue before the next one's does.
    await eventually(async () => (await call('GET', `/runs/${body.runId}`)).body.view?.currentStep === 'preflight');
    runs.push(body.runId);
  }
  await eventually(async () => (await waiting()) === runs.length);
  await stack.stopWorkers();
  await stack.startWorkers({ siteSlots: 1 });
  const workflows = [
    ...rehearsed.map((name) => rehearsalWorkflowId('main', ids.get(name)!)),
    recoveryWorkflowId('main', ids.get('lost01')!),
  ];
  const given = await eventually(async () => {
    const times = await Promise.all(workflows.map(givenAt));
    return times.every((at) => at !== null) && (times as number[]);
  });
  // The worker may have taken one before it was shown what else there is.
  const before = given.filter((at) => at < given.at(-1)!);
  expect({ given, before: before.length }).toEqual({ given, before: before.length > 0 ? 1 : 0 });
  for (const runId of runs) await call('POST', `/runs/${runId}/abort`, { body: { reason: 'Seen enough' } });
  for (const runId of runs) await tools.closed(runId);
}, 240_000);

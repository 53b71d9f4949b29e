/** A run that no worker can go on with: said where it is shown and beside what is stuck, told to people, and taken back when one can. */
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Worker } from '@temporalio/worker';
import { serveApi, type ServedApi } from '../../api/server';
import type { Notice } from '../../model/notify/notice';
import type { NotificationRule } from '../../model/runbook/runbook';
import { dataConverter } from '../../wire/payloads';
import { workflowQueue } from '../../workflows/messages';
import { muster } from '../cli/muster';
import { testTemporalAddress } from '../support/temporal';
import { caller, eventually, openTestStack, recoveryTools } from './stack';
import type { Call, RecoveryTools, TestStack } from './stack';

let stack: TestStack;
let call: Call;
let tools: RecoveryTools;
let served: ServedApi;
let connection: NativeConnection;

beforeAll(async () => {
  stack = await openTestStack();
  connection = await NativeConnection.connect({ address: testTemporalAddress() });
  call = caller(stack);
  tools = recoveryTools(stack, call);
  served = await serveApi(stack.deps, { host: '127.0.0.1', port: 0 });
  await stack.startWorkers();
});
afterAll(async () => {
  await served?.stop();
  await connection?.close();
  await stack?.close();
});

const env = () => ({ MUSTER_URL: served.url, MUSTER_TOKEN: stack.tokens.operator });
/** Of the process that looks by itself. */
const stuckNotice = async (): Promise<string | null> => {
  const headers = { authorization: `Bearer ${stack.tokens.operator}` };
  const answer = await fetch(`${served.url}/api/v1/stuck`, { headers });
  return ((await answer.json()) as { notice: string | null }).notice;
};
const rule: NotificationRule = { on: ['stuck'], mail: ['oncall@dr.example'], webhooks: [] };
/** What goes out by mail now. */
const mailed = async (): Promise<Notice[]> => {
  const { notifications } = stack.store;
  while ((await notifications.address({ defaults: [rule], windowMs: 0, quietMs: 0 })) > 0);
  const parcel = await notifications.take('mail', 60_000);
  return [...(parcel?.notices ?? [])];
};
const unwrapped = (text: string): string => text.replace(/\s+/g, ' ');

test('show, stuck and a mail say since when and why no worker goes on with it, until one does', async () => {
  await tools.protectedServer('app01');
  const { runId } = (await tools.push('app01')).body;
  await tools.inState(runId, 'waiting');
  await stack.stopWorkers();

  const workflowsPath = require.resolve('../workflows/support/goes-another-way');
  const workflowBundle = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('ERROR') });
  const { namespace } = stack;
  const changed = { connection, namespace, dataConverter, taskQueue: workflowQueue, workflowBundle };
  const worker = await Worker.create(changed);
  await worker.runUntil(async () => {
    // What asks it to do something; nobody does it.
    await call('POST', `/runs/${runId}/abort`, { body: { reason: 'Enough seen' } });
    const said = /No worker can go on with it since (\S+Z): .*[Nn]ondeterminis.*It stands still\..*docs\/operating\.md/;
    const told = await eventually(async () => {
      const { notice } = (await call('GET', `/runs/${runId}`)).body;
      return said.test(notice ?? '') && (notice as string);
    }, 60_000);
    const since = said.exec(told)![1]!;
    expect(Math.abs(Date.now() - Date.parse(since))).toBeLessThan(10 * 60_000);
    expect(unwrapped((await muster(['show', runId], env())).stdout)).toMatch(said);

    const beside = await eventually(async () => {
      const notice = await stuckNotice();
      return notice?.includes(runId) === true && notice;
    }, 120_000);
    expect(beside).toMatch(new RegExp(`No worker can go on with run ${runId} \\(app01\\) since ${since}: `));
    expect(unwrapped((await muster(['stuck'], env())).stdout)).toContain(unwrapped(beside));
    const mail = await eventually(async () =>
      (await mailed()).find(({ facts }) => facts.cause.startsWith('No worker')),
    );
    expect(mail).toMatchObject({ key: `${runId}/failing/${since}`, facts: { name: 'app01', since, run: { runId } } });
  });

  await stack.startWorkers();
  // Temporal gives a task that failed out again after ten minutes at the latest; after these, within two or three.
  await eventually(async () => (await call('GET', `/runs/${runId}`)).body.view?.state === 'aborted', 420_000);
  expect((await call('GET', `/runs/${runId}`)).body).toMatchObject({ notice: null });
  await eventually(async () => (await stuckNotice()) === null, 60_000);
}, 720_000);

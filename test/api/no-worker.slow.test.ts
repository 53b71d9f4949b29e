/** A run whose next step no worker of its site takes: said wherever the run is shown, and taken back when one comes. */
import { serveApi, type ServedApi } from '../../api/server';
import { muster, startMuster } from '../cli/muster';
import { caller, eventually, openTestStack, recoveryTools, siteId } from './stack';
import type { Call, RecoveryTools, TestStack } from './stack';

let stack: TestStack;
let call: Call;
let tools: RecoveryTools;
let served: ServedApi;

beforeAll(async () => {
  stack = await openTestStack();
  call = caller(stack);
  tools = recoveryTools(stack, call);
  served = await serveApi(stack.deps, { host: '127.0.0.1', port: 0 });
  await stack.startWorkers();
});
afterAll(async () => {
  await served?.stop();
  await stack?.close();
});

const env = () => ({ MUSTER_URL: served.url, MUSTER_TOKEN: stack.tokens.operator });
const said = new RegExp(
  `No worker for site ${siteId} since \\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z: its next step waits for one`,
);
/** Lines of a terminal are wrapped. */
const unwrapped = (text: string): string => text.replace(/\s+/g, ' ');

test('show, watch, runs and the JSON say since when nobody takes the next step, until somebody does', async () => {
  await tools.protectedServer('app01');
  await stack.stopWorkers();
  const before = new Date().toISOString();
  await stack.startWorkers({ ofSite: false });
  const { runId } = (await tools.push('app01')).body;
  await tools.inState(runId, 'running');
  const watching = startMuster(['watch', runId, '--stop-when-waiting'], env());
  let printed = '';
  for (const stream of [watching.stdout, watching.stderr]) stream.on('data', (text: Buffer) => (printed += text));
  const told = await eventually(async () => (await call('GET', `/runs/${runId}`)).body.notice ?? undefined);
  expect(told).toMatch(said);
  // Temporal knows when the worker that is gone asked last.
  expect(/since (\S+):/.exec(told)![1]! < before).toBe(true);
  // The list is of the journal, which follows the run a moment later.
  const items = await eventually(async () => {
    const { body } = await call('GET', '/runs');
    return body.items?.[0]?.notice != null && body.items;
  });
  expect(items).toMatchObject([{ runId, state: 'running', notice: told }]);
  const [shown, listed, json] = await Promise.all([
    muster(['show', runId], env()),
    muster(['runs'], env()),
    muster(['show', runId, '--json'], env()),
  ]);
  expect(unwrapped(shown.stdout)).toMatch(said);
  expect(unwrapped(listed.stdout)).toMatch(said);
  expect(JSON.parse(json.stdout)).toMatchObject({ notice: told });
  await eventually(async () => said.test(unwrapped(printed)), 60_000).catch(() => expect(printed).toMatch(said));

  await stack.stopWorkers();
  await stack.startWorkers();
  const seen = await watching;
  expect(seen.exitCode).toBe(8);
  expect(unwrapped(seen.stdout)).toMatch(/A worker has taken it; the run goes on\..*Waits for a decision at power-on/);
  expect((await call('GET', `/runs/${runId}`)).body.notice).toBeNull();
  expect((await call('GET', '/runs')).body.items).toMatchObject([{ runId, notice: null }]);
  await call('POST', `/runs/${runId}/abort`, { body: { reason: 'Seen enough' } });
  await tools.closed(runId);
}, 180_000);

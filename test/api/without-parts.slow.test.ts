/** Recoveries while Postgres or the workers are away (design: laws 4 and 5). */
import { fingerprintsOf } from './events';
import {
  caller,
  eventually,
  newServer,
  openTestStack,
  recoveryTools,
  type Call,
  type RecoveryTools,
  type TestStack,
} from './stack';

let stack: TestStack;
let call: Call;
let tools: RecoveryTools;

beforeAll(async () => {
  stack = await openTestStack({ storeDeadlineMs: 500 });
  call = caller(stack);
  tools = recoveryTools(stack, call);
  await stack.startWorkers();
}, 60_000);
afterAll(() => stack?.close());

test('with Postgres down a recovery is started, decided on and seen through, and the journal catches up', async () => {
  await tools.protectedServer('app01');
  stack.postgres.cut();
  const started = await tools.push('app01', { networks: { lan: 'nowhere' } }, 'key-down-1');
  expect(started.status).toBe(201);
  const { runId } = started.body;
  expect((await tools.push('app01', { networks: { lan: 'nowhere' } }, 'key-down-1')).body).toMatchObject({
    runId,
    seenBefore: true,
  });
  expect((await tools.push('app01', {}, 'key-down-2')).body).toMatchObject({
    type: 'urn:muster:problem:recovery-running',
    runId,
  });
  const stuck = await tools.inState(runId, 'stuck');
  expect(stuck.source).toBe('live');
  const report = await call('GET', `/runs/${runId}/report?format=html`);
  expect(report.body).toContain('who was told is not known here');
  const input = { networks: { lan: 'lan' } };
  const fixed = await tools.decide(runId, { step: 'preflight', decision: 'provide', input, reason: 'Mapped it' });
  expect(fixed.status).toBe(200);
  await tools.inState(runId, 'waiting');
  await tools.decide(runId, { step: 'power-on', decision: 'approve', reason: 'It is cut off' });
  const proven = await eventually(async () => {
    const { body } = await call('GET', `/runs/${runId}`);
    return body.view?.steps.find(({ id }: { id: string }) => id === 'resume-replication')?.state === 'done';
  });
  expect(proven).toBe(true);
  stack.postgres.mend();
  const run = await tools.closed(runId);
  expect(run.view.state).toBe('succeeded');
  const told = fingerprintsOf((await call('GET', `/runs/${runId}/events`)).body);
  expect(told).toContain('1 run-opened');
  const repeated = await tools.push('app01', { networks: { lan: 'nowhere' } }, 'key-down-1');
  expect(repeated).toMatchObject({ status: 200, body: { runId, seenBefore: true } });
}, 180_000);

test('a server is free for whoever saw its run end, though the run still writes its record', async () => {
  await tools.protectedServer('app02');
  const { runId } = (await tools.push('app02', { networks: { lan: 'nowhere' } }, 'key-ending-1')).body;
  await tools.inState(runId, 'stuck');
  stack.postgres.cut();
  // What waits is asked of the open runs themselves then.
  expect((await call('GET', '/stuck')).body).toMatchObject({
    ...{
      source: 'live',
      total: 1,
      notice: expect.stringMatching(/^Postgres does not answer: 1 open run was asked itself\./),
    },
    items: [{ runId, serverName: 'app02', step: 'preflight', kind: 'stuck', told: [] }],
  });
  await call('POST', `/runs/${runId}/abort`, { body: { reason: 'Enough' } });
  expect((await tools.inState(runId, 'aborted')).source).toBe('live');
  const early = await tools.push('app02', {}, 'key-ending-2');
  expect(early).toMatchObject({ status: 409, body: { runId, detail: expect.stringContaining('record is written') } });
  const pushed = tools.push('app02', {}, 'key-ending-3');
  stack.postgres.mend();
  expect(await pushed).toMatchObject({ status: 201 });
}, 180_000);

test('without a worker a run is read from the journal, an act is pending, and it acts when a worker is back', async () => {
  await tools.protectedServer('db01');
  const { runId } = (await tools.push('db01', { networks: { lan: 'nowhere' } }, 'key-away-1')).body;
  await tools.inState(runId, 'stuck');
  await eventually(async () => (await stack.store.runs.get(runId))?.state === 'stuck');
  await stack.stopWorkers();
  const seen = await call('GET', `/runs/${runId}`);
  expect(seen.body).toMatchObject({
    source: 'journal',
    notice: expect.stringContaining('No worker'),
    view: { state: 'stuck' },
  });
  const abort = { body: { reason: 'Enough' }, headers: { 'idempotency-key': 'abort-away-1' } };
  const sent = await call('POST', `/runs/${runId}/abort`, abort);
  expect(sent).toMatchObject({ status: 202, body: { requestId: 'abort-away-1', state: 'pending' } });
  const shown = await call('GET', `/runs/${runId}`);
  expect(shown.body.acts).toMatchObject([{ requestId: 'abort-away-1', act: 'abort', state: 'pending' }]);
  await stack.startWorkers();
  expect((await tools.closed(runId)).view.state).toBe('aborted');
  // A closed run is answered from the journal, where the act stands with who and why.
  const run = await call('GET', `/runs/${runId}`);
  expect(run.body.view.decisions).toMatchObject([
    { decision: 'abort', reason: 'Enough', by: { requestId: expect.any(String) } },
  ]);
}, 180_000);

test('a site without a worker is named, not waited for without end', async () => {
  await stack.stopWorkers();
  try {
    const added = await call('POST', '/servers', { body: newServer('web01') });
    expect(added).toMatchObject({ status: 503, body: { type: 'urn:muster:problem:no-worker' } });
    const replicas = await call('GET', '/replicas');
    expect(replicas.body.unavailable).toMatchObject([{ siteId: 'dr', because: expect.stringContaining('worker') }]);
  } finally {
    await stack.startWorkers();
  }
});

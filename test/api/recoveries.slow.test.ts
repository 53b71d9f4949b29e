/** Recoveries through the API, on real Temporal, real Postgres and a simulated site. */
import { Client, Connection } from '@temporalio/client';
import { recoveryWorkflowId } from '../../workflows/messages';
import { testTemporalAddress } from '../support/temporal';
import { fingerprintsOf } from './events';
import {
  caller,
  eventually,
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
  stack = await openTestStack();
  call = caller(stack);
  tools = recoveryTools(stack, call);
  await stack.startWorkers();
});
afterAll(() => stack?.close());

test('a server is added, protected and recovered, and the run is read live and from the journal', async () => {
  const serverId = await tools.protectedServer('app01');
  const again = await call('POST', '/servers/app01/protection');
  expect(again).toMatchObject({ status: 200, body: { session: { serverId } } });
  const started = await tools.push('app01', {}, 'button-0001');
  expect(started).toMatchObject({ status: 201, body: { serverId, serverName: 'app01', seenBefore: false } });
  const { runId } = started.body;
  // The source still answers, so a person has to say that it is cut off.
  const waiting = await tools.inState(runId, 'waiting');
  const connection = await Connection.connect({ address: testTemporalAddress() });
  const { workflow } = new Client({ connection, namespace: stack.namespace });
  const { priority } = await workflow.getHandle(recoveryWorkflowId('main', serverId)).describe();
  await connection.close();
  expect(priority?.priorityKey).toBe(2);
  expect(waiting).toMatchObject({ source: 'live', view: { currentStep: 'power-on' } });
  const approved = await tools.decide(runId, { step: 'power-on', decision: 'approve', reason: 'Unplugged it myself' });
  expect(approved).toMatchObject({ status: 200, body: { state: 'accepted', act: 'approve', by: 'admin' } });
  const run = await tools.closed(runId);
  expect(run.view).toMatchObject({ state: 'succeeded', summary: expect.stringContaining('app01') });
  expect(run.view.decisions).toMatchObject([{ decision: 'approve', by: { actor: { name: 'admin', role: 'admin' } } }]);
  const list = await call('GET', '/runs?state=succeeded&server=app01');
  expect(list.body.items).toMatchObject([{ runId, serverName: 'app01', requestedBy: 'admin' }]);
  const other = await call('GET', '/runs?state=aborted&server=app01');
  expect(other.body).toEqual({ items: [] });
});

test('the report is HTML for a browser and JSON for a program', async () => {
  const runId = (await call('GET', '/runs?server=app01')).body.items[0].runId;
  const page = await call('GET', `/runs/${runId}/report`, { headers: { accept: 'text/html,*/*' } });
  expect(page.headers.get('content-type')).toContain('text/html');
  expect(page.headers.get('content-security-policy')).toContain('sandbox');
  expect(page.body).toContain(runId);
  const report = await call('GET', `/runs/${runId}/report`);
  expect(report.body).toMatchObject({ runId, closed: true, state: 'succeeded' });
  expect(report.body.journal.headHash).toMatch(/^[0-9a-f]{64}$/);
});

test('evidence is served when the journal of the run names it, and nothing else', async () => {
  const runId = (await call('GET', '/runs?server=app01')).body.items[0].runId;
  const report = await call('GET', `/runs/${runId}/report`);
  const { sha256, mediaType } = report.body.evidence[0].evidence;
  const file = await call('GET', `/runs/${runId}/evidence/${sha256}`);
  expect(file.status).toBe(200);
  expect(file.headers.get('content-type')).toBe(mediaType);
  expect(file.headers.get('x-content-type-options')).toBe('nosniff');
  expect(file.headers.get('content-security-policy')).toContain('sandbox');
  expect(file.headers.get('content-disposition')).toContain('filename=');
  const kept = await stack.putEvidence('not of this run');
  expect((await call('GET', `/runs/${runId}/evidence/${kept}`)).status).toBe(404);
  const viewer = await call('GET', `/runs/${runId}/evidence/${sha256}`, { token: stack.tokens.viewer });
  expect(viewer.status).toBe(403);
});

test('the same key returns the same run, other content under it is refused, and another key meets the lock', async () => {
  await tools.protectedServer('db01');
  const first = await tools.push('db01', {}, 'key-db01-1');
  const [second, third] = await Promise.all([
    tools.push('db01', {}, 'key-db01-1'),
    tools.push('db01', {}, 'key-db01-1'),
  ]);
  expect(second).toMatchObject({ status: 200, body: { runId: first.body.runId, seenBefore: true } });
  expect(third.body.runId).toBe(first.body.runId);
  const changed = await tools.push('db01', { reason: 'Something else' }, 'key-db01-1');
  expect(changed).toMatchObject({ status: 422, body: { type: 'urn:muster:problem:key-reused' } });
  const other = await tools.push('db01', {}, 'key-db01-2');
  expect(other).toMatchObject({ status: 409, body: { type: 'urn:muster:problem:recovery-running' } });
  expect(other.body).toMatchObject({ runId: first.body.runId, detail: expect.stringContaining(first.body.runId) });
  await tools.inState(first.body.runId, 'waiting');
  const aborted = await call('POST', `/runs/${first.body.runId}/abort`, { body: { reason: 'Only a test' } });
  expect(aborted).toMatchObject({ status: 200, body: { act: 'abort', state: 'accepted' } });
  expect((await tools.closed(first.body.runId)).view.state).toBe('aborted');
  const afterwards = await tools.push('db01', {}, 'key-db01-1');
  expect(afterwards).toMatchObject({ status: 200, body: { runId: first.body.runId, seenBefore: true } });
  const late = await tools.decide(first.body.runId, { step: 'power-on', decision: 'approve', reason: 'Too late' });
  expect(late).toMatchObject({ status: 409, body: { refusal: 'Closed' } });
});

test('a stuck step takes one decision; the second person is told who was first', async () => {
  await tools.protectedServer('web01');
  const { runId } = (await tools.push('web01', { networks: { lan: 'nowhere' } }, 'key-web01-1')).body;
  const stuck = await tools.inState(runId, 'stuck');
  expect(stuck.view.currentStep).toBe('preflight');
  const { epoch } = stuck.view.parkings[0];
  const fix = { step: 'preflight', decision: 'provide', input: { networks: { lan: 'lan' } }, epoch };
  const answers = await Promise.all([
    tools.decide(runId, { ...fix, reason: 'Mapped the network' }, stack.tokens.operator),
    tools.decide(runId, { ...fix, reason: 'Mapped it, too' }, stack.tokens.coordinator),
  ]);
  const won = answers.find(({ status }) => status === 200)!;
  const lost = answers.find(({ status }) => status === 409)!;
  expect(lost.body).toMatchObject({ refusal: 'AlreadyDecided', detail: expect.stringContaining(won.body.by) });
  await tools.inState(runId, 'waiting');
  await eventually(async () => {
    const rows = await stack.store.journal.rows(runId);
    return rows.some((row) => row.kind === 'decided' && row.actorName === won.body.by);
  });
  await call('POST', `/runs/${runId}/abort`, { body: { reason: 'Enough seen' } });
  await tools.closed(runId);
});

test('a key answers for one act of one person, and for nothing that is sent under it besides', async () => {
  await tools.protectedServer('web03');
  const { runId } = (await tools.push('web03', { networks: { lan: 'nowhere' } }, 'key-web03-1')).body;
  await tools.inState(runId, 'stuck');
  const send = (token: string, path: string, body: object) =>
    call('POST', `/runs/${runId}/${path}`, { token, body, headers: { 'idempotency-key': 'key-of-all' } });
  const { operator, coordinator } = stack.tokens;
  const fix = { step: 'preflight', decision: 'provide', input: { networks: { lan: 'lan' } }, reason: 'Mapped it' };
  const accepted = { status: 200, body: { state: 'accepted', requestId: 'key-of-all' } };
  expect(await send(operator, 'decisions', fix)).toMatchObject(accepted);
  await tools.inState(runId, 'waiting');
  expect(await send(operator, 'decisions', fix)).toMatchObject(accepted);
  const approve = { step: 'power-on', decision: 'approve', reason: 'Unplugged it' };
  expect(await send(operator, 'decisions', approve)).toMatchObject({
    status: 422,
    body: { type: 'urn:muster:problem:key-reused', detail: expect.stringContaining('provide at preflight') },
  });
  expect(await call('GET', `/runs/${runId}/decisions/key-of-all`, { token: operator })).toMatchObject(accepted);
  expect((await call('GET', `/runs/${runId}/decisions/key-of-all`, { token: coordinator })).status).toBe(404);
  expect(await send(coordinator, 'abort', { reason: 'Enough seen' })).toMatchObject({
    status: 200,
    body: { act: 'abort', by: 'coordinator' },
  });
  expect((await tools.closed(runId)).view.state).toBe('aborted');
});

test('a decision is refused at once for a wrong step, a missing reason, an unknown decision and a wrong field', async () => {
  await tools.protectedServer('web02');
  const { runId } = (await tools.push('web02', { networks: { lan: 'nowhere' } }, 'key-web02-1')).body;
  await tools.inState(runId, 'stuck');
  const elsewhere = await tools.decide(runId, { step: 'inoculate', decision: 'retry', reason: 'Guessing' });
  expect(elsewhere).toMatchObject({
    status: 409,
    body: { refusal: 'WrongStep', detail: expect.stringContaining('preflight') },
  });
  const misspelt = await tools.decide(runId, { step: 'preflght', decision: 'retry', reason: 'Guessing' });
  expect(misspelt).toMatchObject({ status: 400, body: { near: ['preflight'] } });
  const stale = await tools.decide(runId, { step: 'preflight', epoch: 77, decision: 'retry', reason: 'An old page' });
  expect(stale).toMatchObject({ status: 409, body: { refusal: 'StaleParking' } });
  const empty = await tools.decide(runId, {
    step: 'preflight',
    decision: 'retry',
    reason: '  ',
    input: { cpuCount: -1 },
  });
  expect(empty.status).toBe(400);
  expect(empty.body.issues.map(({ at }: { at: string }) => at)).toEqual(['body.reason', 'body.input.cpuCount']);
  expect((await tools.decide(runId, { step: 'preflight', decision: 'reboot', reason: 'x' })).status).toBe(400);
  await call('POST', `/runs/${runId}/abort`, { body: { reason: 'Enough seen' } });
  await tools.closed(runId);
});

test('the event stream tells the whole run, resumes after an event, and ends with the run', async () => {
  const runId = (await call('GET', '/runs?server=app01')).body.items[0].runId;
  const whole = fingerprintsOf((await call('GET', `/runs/${runId}/events`)).body);
  expect(whole.at(0)).toBe('1 run-opened');
  expect(whole.at(-2)).toMatch(/^\d+ run-closed$/);
  expect(whole.at(-1)).toBe('end {"complete":true}');
  const resumed = await call('GET', `/runs/${runId}/events`, { headers: { 'last-event-id': '3' } });
  expect(fingerprintsOf(resumed.body)).toEqual(whole.slice(3));
});

test('a protected server cannot be removed, and one whose replication is paused cannot be rehearsed', async () => {
  const refused = await call('DELETE', '/servers/web02');
  expect(refused).toMatchObject({ status: 409, body: { detail: expect.stringContaining('protected') } });
  const paused = await call('POST', '/servers/web02/protection/pause', { body: { reason: 'Maintenance' } });
  expect(paused).toMatchObject({ status: 200, body: { session: { state: 'paused' } } });
  const networks = { lan: 'isolated' };
  const detail = expect.stringMatching(/^Replication of web02 is paused.*muster protect web02 --resume/);
  const rehearsed = await tools.push('web02', { mode: 'rehearsal', networks });
  expect(rehearsed).toMatchObject({ status: 409, body: { detail } });
  const text = `format: 1\nname: web\ntitle: Web\nnetworks: { recovery: { lan: lan }, rehearsal: { lan: isolated } }\nwaves:\n  - { name: web, servers: [{ name: web02, hardware: vmware-pvscsi }] }\n`;
  await tools.imported(text);
  const runbook = await tools.startRunbook('web', { mode: 'rehearsal' });
  expect(runbook).toMatchObject({ status: 409, body: { detail } });
  const removed = await call('POST', '/servers/web02/protection/remove', { body: { reason: 'Decommissioned' } });
  expect(removed).toMatchObject({ status: 200, body: { session: { state: 'removed' } } });
  await eventually(async () => (await call('DELETE', '/servers/web02')).status === 204);
  expect((await call('GET', '/servers/web02')).status).toBe(404);
  const nothing = await call('POST', '/servers/web01/protection/resume', { body: { reason: '' } });
  expect(nothing.status).toBe(400);
});

/** Runs that Temporal has lost: they would stand in the lists for good, and one act ends their records. */
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { serveApi, type ServedApi } from '../../api/server';
import { Problem } from '../../api/problems';
import { connectTemporal, type TemporalGateway } from '../../api/temporal';
import { openSimulatedSite } from '../../platforms/simulated/open';
import { verifyChildren } from '../../record/children';
import { verifyChain } from '../../record/chain';
import { eventOfRow } from '../../record/row';
import { planWorkflowId, recoveryWorkflowId } from '../../workflows/messages';
import { longestLine, muster } from '../cli/muster';
import { batch, event, newRunId, opened, serverSpec } from '../store/run-events';
import { testTemporalAddress } from '../support/temporal';
import {
  caller,
  eventually,
  openTestStack,
  planProof,
  recoveryTools,
  siteId,
  type Call,
  type Reply,
  type TestStack,
} from './stack';

let stack: TestStack;
let call: Call;
let tools: ReturnType<typeof recoveryTools>;
let served: ServedApi;
let connection: Connection;
let away: TemporalGateway | undefined;
let plan: string;
const ids = new Map<string, string>();

beforeAll(async () => {
  stack = await openTestStack({ planProof });
  call = caller(stack);
  tools = recoveryTools(stack, call);
  await stack.startWorkers();
  served = await serveApi(stack.deps, { host: '127.0.0.1', port: 0 });
  connection = await Connection.connect({ address: testTemporalAddress() });
  for (const name of ['db01', 'app01']) ids.set(name, await tools.protectedServer(name));
});
afterAll(async () => {
  await connection?.close();
  await away?.close();
  await served?.stop();
  await stack?.close();
});

const text = `format: 1
name: shop
title: Shop
networks: { recovery: { lan: lan }, rehearsal: { lan: isolated } }
defaults: { hardware: vmware-pvscsi }
waves:
  - { name: all, servers: [{ name: db01 }, { name: app01 }] }
`;
const env = () => ({ MUSTER_URL: served.url, MUSTER_TOKEN: stack.tokens.coordinator });
const close = (runId: string, token?: string): Promise<Reply> =>
  call('POST', `/runs/${runId}/close`, { body: { reason: 'Temporal was restored empty' }, ...(token && { token }) });
const waiting = async (): Promise<Reply['body'][]> => (await call('GET', '/stuck')).body.items;
const replicas = () => openSimulatedSite({ folder: join(stack.folder, 'site'), id: siteId }).replicas;
const rowsOf = (runId: string) => stack.store.journal.rows(runId);

test('a plan and its servers’ runs that Temporal has lost are closed by one act, and nothing holds their servers any more', async () => {
  const { workflow } = new Client({ connection, namespace: stack.namespace });
  await tools.imported(text);
  const wanted = { mode: 'recovery', intent: 'disaster', reason: 'Site A is gone' };
  const key = 'key-of-the-night';
  const started = await tools.startRunbook('shop', wanted, { key });
  expect(started).toMatchObject({ status: 201 });
  const { runId } = started.body;
  plan = runId;
  // Each asks before its power-on: what it was made from still runs.
  await eventually(async () => (await waiting()).length === 2);
  const children = (await call('GET', `/runs?parent=${runId}`)).body.items as { runId: string; serverName: string }[];
  expect(children).toHaveLength(2);

  const alive = await close(runId);
  expect(alive).toMatchObject({ status: 409, body: { refusal: 'Running' } });
  await workflow.getHandle(planWorkflowId('main', runId)).terminate('Temporal is lost');
  const partly = await close(runId);
  expect(partly.status).toBe(409);
  expect(partly.body.detail).toMatch(/still runs \w+01 \(`muster abort .*01 \(`muster abort /);
  for (const id of ids.values()) await workflow.getHandle(recoveryWorkflowId('main', id)).terminate('Temporal is lost');
  expect((await call('GET', `/runs/${runId}`)).body.notice).toMatch(/no longer runs this.*`muster close`/);

  // While Temporal cannot say that it does not run them, nothing is closed.
  away = connectTemporal({ address: '127.0.0.1:1', namespace: stack.namespace, callDeadlineMs: 500 });
  const cut = caller({ ...stack, deps: { ...stack.deps, temporal: away } });
  expect(await cut('POST', `/runs/${runId}/close`, { body: { reason: 'Too early' } })).toMatchObject({ status: 503 });
  expect((await close(runId, stack.tokens.operator)).status).toBe(403);
  expect(await stack.store.rehearsals.holders([...ids.values()])).toHaveLength(2);

  const closed = await muster(['close', runId, '--reason', 'Temporal was restored empty'], env());
  expect([closed.exitCode, closed.stderr]).toEqual([0, '']);
  expect(closed.stdout).toMatch(/Closed: \w+01[^]*Closed: \w+01[^]*Closed: shop[^]*Nothing was undone/);
  expect(longestLine(closed.stdout)).toBeLessThanOrEqual(80);
  const again = await muster(['close', runId, '--reason', 'twice'], env());
  expect([again.exitCode, again.stderr, again.stdout]).toEqual([0, '', expect.stringContaining('closed already')]);

  expect([await waiting(), await stack.store.rehearsals.holders([...ids.values()])]).toEqual([[], []]);
  for (const one of [{ runId }, ...children]) {
    const rows = await rowsOf(one.runId);
    expect(verifyChain(rows)).toMatchObject({ ok: true });
    expect(rows.at(-1)).toMatchObject({ kind: 'run-closed', actorKind: 'person', actorName: 'coordinator' });
    const { view } = (await call('GET', `/runs/${one.runId}`)).body;
    expect(view).toMatchObject({ state: 'failed', lost: true, summary: expect.stringContaining('restored empty') });
    const report = (await call('GET', `/runs/${one.runId}/report?format=json`)).body;
    expect(report.headline).toMatchObject({ tone: 'bad', title: 'Lost, and closed by a person' });
    expect(report.headline.sentence).toContain('Nothing was undone');
  }
  const heads = new Map<string, string>();
  for (const child of children) heads.set(child.runId, (await rowsOf(child.runId)).at(-1)!.hash);
  const closing = (await rowsOf(runId)).at(-1)!;
  expect(Object.keys(JSON.parse(closing.body).childHashes).sort()).toEqual([...heads.keys()].sort());
  expect(verifyChildren(closing, heads)).toEqual([]);

  // The same request, sent once more, is the same run, though Temporal knows nothing of it.
  const nothing = () => Promise.resolve(undefined);
  const temporal = { ...stack.deps.temporal, findPlan: nothing, findPlanByKey: nothing };
  const forgetful = caller({ ...stack, deps: { ...stack.deps, temporal } });
  const repeated = await recoveryTools(stack, forgetful).startRunbook('shop', wanted, { key });
  expect(repeated).toMatchObject({ status: 200, body: { runId, seenBefore: true, servers: 2 } });

  // What they held is free: the next steps of the handbook work, and the server can be recovered anew.
  const before = (await replicas().points(ids.get('db01')!)).length;
  expect((await call('POST', '/servers/db01/protection')).status).toBeLessThan(300);
  await eventually(async () => (await replicas().points(ids.get('db01')!)).length > before);
  const anew = await tools.push('app01', { machineName: 'app01-anew', powerOn: 'decision' });
  await eventually(async () => (await waiting()).some((item) => item.runId === anew.body.runId));
  expect((await waiting()).find((item) => item.runId === anew.body.runId)).toMatchObject({ step: 'power-on' });
  await call('POST', `/runs/${anew.body.runId}/abort`, { body: { reason: 'Seen' } });
  await tools.closed(anew.body.runId);
  expect(await close(anew.body.runId)).toMatchObject({ status: 409, body: { refusal: 'Closed' } });
}, 180_000);

test('one of a server alone, too; two who close it at once close it once, and without a worker its hold is named', async () => {
  const { workflow } = new Client({ connection, namespace: stack.namespace });
  const name = 'web01';
  const id = await tools.protectedServer(name);
  const { runId } = (await tools.push(name, { option: 'destructive' })).body;
  await eventually(async () => (await waiting()).some((item) => item.runId === runId));
  await workflow.getHandle(recoveryWorkflowId('main', id)).terminate('Temporal is lost');
  await stack.stopWorkers();
  const both = await Promise.all([close(runId), close(runId)]);
  expect(both.map(({ status }) => status)).toEqual([200, 200]);
  expect(both[0]!.body.stillHeld).toMatchObject([{ serverName: name, because: expect.stringContaining('No worker') }]);
  expect((await replicas().view(id))?.heldBy).toBe(runId);
  await stack.startWorkers();
  // A site that has just got its workers may take longer than it is waited for.
  const again = await eventually(async () => {
    const { body } = await close(runId);
    return body.stillHeld?.length === 0 && body;
  });
  expect(again).toMatchObject({ closed: [] });
  expect((await replicas().view(id))?.heldBy).toBeNull();
  expect(both.flatMap(({ body }) => body.closed ?? [])).toEqual([{ runId, serverName: name }]);
  expect((await rowsOf(runId)).filter(({ kind }) => kind === 'run-closed')).toHaveLength(1);
  // One that Temporal never knew, as after it was restored empty.
  const forgotten = newRunId();
  await stack.store.journal.append(batch(forgotten, 1, [opened(forgotten)]));
  expect(await close(forgotten)).toMatchObject({ status: 200, body: { closed: [{ runId: forgotten }] } });
  expect(await close('0198c0de-0000-7000-8000-000000000001')).toMatchObject({ status: 404 });
}, 120_000);

test('of a plan of many servers whose site is gone, the site is not asked once more for each of them', async () => {
  const [first] = await rowsOf(plan);
  const opening = eventOfRow(first!);
  if (opening.kind !== 'plan-opened') throw new Error('It begins with its opening.');
  const lost = newRunId();
  const order = { ...opening.data.order, runId: lost };
  await stack.store.journal.append(batch(lost, 1, [event('plan-opened', { ...opening.data, order })]));
  const names = Array.from({ length: 70 }, (_one, index) => `gone${index}`);
  for (const name of names) {
    const runId = newRunId();
    const events = [opened(runId, 0, serverSpec({ id: name, name }))];
    await stack.store.journal.append({ ...batch(runId, 1, events), parentRunId: lost });
  }
  let asked = 0;
  const endHold = async (): Promise<never> => {
    asked += 1;
    await Promise.resolve();
    throw new Problem('no-worker', 'No worker of site "recovery" answered in time.');
  };
  const deps = { ...stack.deps, temporal: { ...stack.deps.temporal, endHold } };
  const { body } = await caller({ ...stack, deps })('POST', `/runs/${lost}/close`, { body: { reason: 'All is lost' } });
  expect(body.closed).toHaveLength(names.length + 1);
  expect(body.stillHeld.map((one: { serverName: string }) => one.serverName).sort()).toEqual(names.sort());
  // As many questions as are open together, and no more.
  expect(asked).toBeLessThanOrEqual(20);
}, 120_000);

/**
 * A site whose only worker is gone for a while: said through the API and to people, and taken back; its run goes on. The API's host
 * has its clock an hour behind, or ahead.
 */
import { serveApi, type ServedApi } from '../../api/server';
import { caller, eventually, openTestStack, recoveryTools, siteId } from './stack';
import type { Call, RecoveryTools, TestStack } from './stack';

let stack: TestStack;
let call: Call;
let tools: RecoveryTools;
let served: ServedApi;
let waitedMs = 0;
let skewMs = 0;

beforeAll(async () => {
  stack = await openTestStack();
  const deps = {
    ...stack.deps,
    clock: () => new Date(Date.now() + waitedMs + skewMs),
    elapsedMs: () => performance.now() + waitedMs,
  };
  call = caller({ ...stack, deps });
  tools = recoveryTools(stack, call);
  served = await serveApi(deps, { host: '127.0.0.1', port: 0 });
  await stack.startWorkers();
});
afterAll(async () => {
  await served?.stop();
  await stack?.close();
});

const ready = async () => {
  const { status, body } = await call('GET', '/ready', { token: null });
  const part = body.parts.find(({ name }: { name: string }) => name === `site ${siteId}`);
  return { status, part };
};

const told = async () => {
  const defaults = [{ on: ['risk' as const], mail: ['oncall@dr.example'], webhooks: [] }];
  await stack.store.notifications.address({ defaults, windowMs: 0, quietMs: 0 });
  const { items } = (await call('GET', '/notifications', { token: stack.tokens.auditor })).body;
  return items
    .filter(({ key }: { key: string }) => key === `site/${siteId}`)
    .map(({ epoch, stage, to }: { epoch: number; stage: number; to: string }) => [epoch, stage, to]);
};

test('no worker for a site is said with the time, people are told once, and it goes away when one is back', async () => {
  await tools.protectedServer('app01');
  expect(await ready()).toMatchObject({ status: 200, part: { ok: true } });
  await stack.stopWorkers();
  const before = new Date().toISOString();
  await stack.startWorkers({ ofSite: false });
  const { runId } = (await tools.push('app01')).body;
  await tools.inState(runId, 'running');
  skewMs = 3_600_000;
  expect(await ready()).toMatchObject({ part: { ok: true } });
  skewMs = -3_600_000;
  expect(await ready()).toMatchObject({ part: { ok: true } });

  // A worker's poll may be a minute old; after that, nobody is there.
  waitedMs = 600_000;
  const gone = await ready();
  expect(gone).toMatchObject({ status: 200, part: { ok: false } });
  const since = /^No worker for site dr since (\S+Z)$/.exec(gone.part.detail)![1]!;
  expect(since < before).toBe(true);
  expect(await ready()).toEqual(gone);
  expect(await told()).toEqual([[1, 0, 'oncall@dr.example']]);
  const { notice } = (await call('GET', `/runs/${runId}`)).body;
  expect(notice).toMatch(/^No worker for site dr since /);
  skewMs = 0;
  expect((await call('GET', '/metrics')).body).toMatch(/muster_site_without_worker_seconds\{site="dr"\} 6\d\d/);

  await stack.stopWorkers();
  await stack.startWorkers();
  waitedMs = 0;
  await tools.inState(runId, 'waiting');
  expect(await ready()).toMatchObject({ part: { ok: true, detail: 'has a worker' } });
  expect(await told()).toEqual([
    [1, 1, 'oncall@dr.example'],
    [1, 0, 'oncall@dr.example'],
  ]);
  expect((await call('GET', `/runs/${runId}`)).body.notice).toBeNull();
  await call('POST', `/runs/${runId}/abort`, { body: { reason: 'Seen enough' } });
  await tools.closed(runId);
}, 180_000);

test('a runbook’s run, the lists of runs and of what waits say it, too: its own queue has a worker, and nothing waits for people', async () => {
  await tools.protectedServer('db01');
  const text = `format: 1
name: shop
title: Shop
networks: { recovery: { lan: lan } }
defaults: { hardware: vmware-pvscsi, powerOn: decision }
waves: [{ name: all, servers: [{ name: db01 }] }]
`;
  expect((await call('POST', '/runbooks', { body: { text } })).status).toBe(201);
  await stack.stopWorkers();
  await stack.startWorkers({ ofSite: false });
  const { runId } = (await tools.startRunbook('shop', { mode: 'recovery', intent: 'disaster' })).body;
  await tools.inState(runId, 'running');
  await ready();
  const noticed = async (path: string) => (await call('GET', path)).body.notice;
  const listed = async () => (await call('GET', '/runs?top=true')).body.items[0];
  // The list is the store's, which hears of a run a moment after the run itself answers.
  await eventually(async () => (await listed())?.runId === runId);
  expect([await noticed(`/runs/${runId}`), await noticed('/stuck'), await listed()]).toMatchObject([
    null,
    null,
    { runId, notice: null },
  ]);

  waitedMs += 600_000;
  await ready();
  const said = /^No worker for site dr since \S+Z: its runs stand still\. Start one there/;
  expect(await noticed(`/runs/${runId}`)).toMatch(said);
  expect(await listed()).toMatchObject({ runId, notice: expect.stringMatching(said) });
  expect((await call('GET', '/stuck')).body).toMatchObject({ items: [], notice: expect.stringMatching(said) });
  expect(await noticed('/stuck?site=paris')).toBeNull();

  await stack.stopWorkers();
  await stack.startWorkers();
  waitedMs = 0;
  await eventually(async () => (await ready()).part.ok);
  await eventually(async () => (await noticed(`/runs/${runId}`)) === null);
  expect([await noticed(`/runs/${runId}`), await noticed('/stuck')]).toEqual([null, null]);
  await eventually(async () => (await call('GET', '/stuck')).body.total > 0);
  await call('POST', `/runs/${runId}/abort`, { body: { reason: 'Seen enough' } });
  await tools.closed(runId);
}, 180_000);

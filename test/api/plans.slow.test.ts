/** A runbook from its import to its report, through the API alone. */
import { runIdOfKey } from '../../api/plans/start';
import { v7 as uuidv7 } from 'uuid';
import { pastTimesOf } from '../../model/estimate/past';
import { isUuidV7 } from '../../model/ids';
import { defaultScope } from '../../store/contract';
import { makeOrder } from '../support/order';
import { succeededStory } from '../support/stories';
import {
  caller,
  eventually,
  openTestStack,
  planProof,
  recoveryTools,
  type Call,
  type Reply,
  type TestStack,
} from './stack';

let stack: TestStack;
let call: Call;
let tools: ReturnType<typeof recoveryTools>;

beforeAll(async () => {
  stack = await openTestStack({ planProof });
  call = caller(stack);
  tools = recoveryTools(stack, call);
  await stack.startWorkers();
  for (const name of ['db01', 'app01', 'web01']) await tools.protectedServer(name);
});
afterAll(() => stack?.close());

const shop = (name = 'shop', changes: (text: string) => string = (text) => text): string =>
  changes(`format: 1
name: ${name}
title: Web shop
objectives: { rpo: 1h, rto: 1h, tiers: { 3: { rto: 30m } } }
networks: { recovery: { lan: lan }, rehearsal: { lan: isolated } }
defaults: { hardware: vmware-pvscsi, option: backup-and-recover }
waves:
  - { name: data, title: Databases, servers: [{ name: db01 }] }
  - name: front
    title: Front
    after: [data]
    gate: data-is-good
    servers: [{ name: app01 }, { name: web01, after: [app01], failure: { giveUpAfter: 1h } }]
gates:
  data-is-good: { title: Data, question: Are the data good?, approvers: { roles: [coordinator] } }
`);

const start = (name: string, body: object, key?: string, token?: string): Promise<Reply> =>
  tools.startRunbook(name, { mode: 'recovery', intent: 'planned', ...body }, { key, token });

const shown = (runId: string, fits: (run: Reply['body']) => unknown): Promise<Reply['body']> => {
  let last: Reply['body'];
  return eventually(async () => {
    last = (await call('GET', `/runs/${runId}`)).body;
    return fits(last) ? last : undefined;
  }, 60_000).catch((error: Error) => {
    const { view, detail } = last ?? {};
    const found = view?.waves?.flatMap((wave: Reply['body']) =>
      wave.servers.map((one: Reply['body']) => `${one.name} ${one.stage} at ${one.step}`),
    );
    throw new Error(`${error.message}; last seen: ${detail ?? `${view?.state} ${found?.join(', ')}`}`);
  });
};

const servers = (run: Reply['body']): Record<string, Reply['body']> =>
  Object.fromEntries(
    run.view.waves.flatMap((wave: Reply['body']) => wave.servers).map((one: Reply['body']) => [one.name, one]),
  );

/** A run of app01 that is over, as the journal has it; how long it took to its proof. */
async function pastRun(): Promise<number> {
  const server = (await stack.store.servers.find('app01'))!;
  const order = makeOrder({ runId: uuidv7(), server, option: 'backup-and-recover' });
  const { events } = succeededStory({ ...order, target: { ...order.target, siteId: server.recoverySiteId } });
  const { runId } = order;
  await stack.store.journal.append({ ...defaultScope, runId, parentRunId: null, flush: 1, events });
  return pastTimesOf(events)!.toProofMs;
}

test('a plan is started once, shown as a tree, let through its gate and committed', async () => {
  await tools.imported(shop());
  const usualMs = await pastRun();
  const key = `key-${Math.random()}`;
  const [first, second] = await Promise.all([start('shop', {}, key), start('shop', {}, key)]);
  expect(new Set([first.status, second.status])).toEqual(new Set([200, 201]));
  const { runId } = first.body;
  expect(second.body).toMatchObject({ runId, servers: 3, runbook: { name: 'shop', version: 1 } });
  expect((await start('shop', { reason: 'another one' }, key)).status).toBe(422);

  // The gate is the plan's own; how its servers are is of the journal, which follows them a moment later.
  const waiting = await shown(runId, ({ view }) => view?.waves[1].gate.state === 'waiting' && view.done === 1);
  expect(waiting.view).toMatchObject({ state: 'waiting', serverCount: 3, done: 1 });
  expect(servers(waiting)).toMatchObject({
    db01: { stage: 'proven', clocks: { waitingMs: 0 } },
    app01: { stage: 'pending', waitsFor: ['gate data-is-good'], runId: null },
    web01: { stage: 'pending', waitsFor: ['gate data-is-good', 'app01'] },
  });
  // One after the other, and of web01 only what app01 took is known.
  expect(waiting.timeLeft).toEqual({
    ...{ until: 'proof', ms: 2 * usualMs, lowMs: 2 * usualMs, highMs: 2 * usualMs, atLeast: false, neverRan: 0 },
    ...{ runs: 1, from: 'servers of similar size', sure: 'hardly', unknown: null },
  });
  const proven = await call('GET', `/runs/${servers(waiting).db01.runId}`);
  expect(proven.body.timeLeft).toMatchObject({ until: 'end', unknown: null });
  const open = await call('GET', `/runs/${runId}/report?format=html`);
  expect(open.body).toMatch(/Time left: .* to the proof, hardly sure: 1 past run of servers of similar size</);
  const held = await call('POST', `/runs/${runId}/hold`, { body: { server: 'web01', reason: 'Not before lunch.' } });
  expect(held).toMatchObject({ status: 200, body: { act: 'hold', state: 'accepted' } });
  expect((await call('POST', `/runs/${runId}/hold`, { body: { wave: 'frnt', reason: 'x' } })).body.detail).toMatch(
    /front/,
  );
  // An edit is of the next run alone.
  const edited = shop('shop', (one) => one.replace('Web shop', 'Another shop').replace('after: [app01], ', ''));
  expect((await call('POST', '/runbooks', { body: { text: edited } })).body).toMatchObject({ version: 2 });
  await call('POST', `/runs/${runId}/decisions`, {
    body: { step: 'gate', decision: 'approve', reason: 'Counted the orders.' },
    token: stack.tokens.coordinator,
  }).then((act) => expect(act.body).toMatchObject({ state: 'accepted' }));

  await shown(runId, (run) => run.view?.done === 2 && servers(run).web01.stage === 'pending');
  await call('POST', `/runs/${runId}/go-on`, { body: { server: 'web01', reason: 'Lunch is over.' } });
  await shown(runId, (run) => run.view?.currentStep === 'commit' && run.view.done === 3);
  const commit = { step: 'commit', decision: 'commit', reason: 'The shop sells.' };
  expect((await tools.decide(runId, commit)).status).toBe(200);
  const closed = await shown(runId, (run) => run.view?.closedAt !== null && run.source === 'journal');
  expect([closed.view.state, closed.timeLeft]).toEqual(['succeeded', null]);
  expect(closed.view.order.runbook).toMatchObject({ version: 1, title: 'Web shop' });
  expect(closed.view.tiers[0]).toMatchObject({
    tier: null,
    servers: 3,
    rpo: { verdict: 'met', targetMs: 3_600_000 },
    rto: { verdict: 'met', server: 'web01' },
  });
  const all = Object.values(servers(closed));
  expect(all.map(({ stage }) => stage)).toEqual(['succeeded', 'succeeded', 'succeeded']);
  const child = await call('GET', `/runs/${all[0].runId}`);
  expect(child.body).toMatchObject({ kind: 'server', view: { state: 'succeeded' } });

  const list = async (query: string) => (await call('GET', `/runs?${query}`)).body.items;
  const plan = { runId, runbook: 'shop', children: { succeeded: 3 } };
  expect(await list('top=true')).toMatchObject([plan, { serverName: 'app01', children: null }]);
  expect(await list(`parent=${runId}`)).toHaveLength(3);
  expect(await list('runbook=shop')).toHaveLength(1);

  const report = await call('GET', `/runs/${runId}/report?format=json`);
  expect(report.body).toMatchObject({ kind: 'plan', headline: { tone: 'good' }, exceptions: [], text: shop() });
  expect(report.body.gates[0].answers[0]).toMatchObject({ by: { actor: { name: 'coordinator' } } });
  const page = await call('GET', `/runs/${runId}/report?format=html`);
  expect(page.body).toContain(`../${all[2].runId}/report`);
}, 120_000);

describe('a start is refused', () => {
  test('for a server that was removed since the import, by name', async () => {
    await stack.saveServer('gone01');
    await tools.imported(
      shop('fading', (text) => text.replace('name: db01', 'name: gone01').replace('lan: lan', 'lan: lan, prod: lan')),
    );
    await call('DELETE', '/servers/gone01');
    const answer = await start('fading', {});
    expect(answer).toMatchObject({ status: 422, body: { type: 'urn:muster:problem:runbook-errors' } });
    expect(answer.body.detail).toMatch(/"gone01".*a server of the inventory/);
  });

  test('for people whom the runbook does not name, which is recorded', async () => {
    await tools.imported(shop('guarded', (text) => `${text}access: { start: { roles: [admin] } }\n`));
    const answer = await start('guarded', {}, undefined, stack.tokens.coordinator);
    expect(answer).toMatchObject({ status: 403 });
    expect(answer.body.detail).toMatch(/found coordinator as coordinator, needed anybody who is admin/);
    const rows = await eventually(async () => {
      const found = await stack.refusedRows();
      return JSON.stringify(found).includes('start of runbook guarded') && found;
    });
    expect(rows.length).toBeGreaterThan(0);
  });

  test.each([
    ['a runbook that is not there', () => start('shopp', {}), 404, /Perhaps you meant shop/],
    ['a version that is not there', () => start('shop', { version: 9 }), 404, /no version 9. It has 3, 2, 1/],
    ['no mode', () => start('shop', { mode: undefined }), 400, /mode/],
    ['a stranger’s point', () => start('shop', { points: { mail01: 'p-1' } }), 422, /mail01/],
    ['a text of another name', () => start('shop', { text: shop('other') }), 400, /of runbook "other", not of "shop"/],
    ['a loss to come', () => start('shop', { lostAt: '2100-01-01T00:00:00.000Z' }), 400, /not one to come/],
  ])('%s', async (_what, push, status, words) => {
    await tools.imported(shop());
    const answer = await push();
    expect(answer.status).toBe(status);
    expect(answer.body.detail).toMatch(words);
  });
});

test('a text that nobody imported is run only by who may import: it could leave out the gates of its namesake', async () => {
  await tools.imported(shop('gated'));
  const without = shop('gated', (text) => text.replace('    gate: data-is-good\n', ''));
  const refused = await start('gated', { text: without }, undefined, stack.tokens.operator);
  expect([refused.status, refused.body.detail]).toEqual([403, expect.stringContaining('is of no imported version')]);
  const { token } = await stack.store.tokens.issue(
    { name: 'Sam Scoped', role: 'coordinator', scopes: [{ kind: 'runbook', name: 'gated' }] },
    null,
  );
  expect(await start('gated', { text: without }, undefined, token)).toMatchObject({ status: 403 });
  const known = await start('gated', { text: shop('gated') }, undefined, stack.tokens.operator);
  expect([known.status, known.body.runbook?.version]).toEqual([201, 1]);
  await call('POST', `/runs/${known.body.runId}/abort`, { body: { reason: 'Only to see who may' } });
});

test('with Postgres down a plan is started from its text, once', async () => {
  const text = shop('dark', (one) => one.replace('    gate: data-is-good\n', ''));
  // Known servers are remembered by whoever read them.
  await call('GET', '/servers');
  stack.postgres.cut();
  try {
    const key = `key-${Math.random()}`;
    const answers = await Promise.all([start('dark', { text }, key), start('dark', { text }, key)]);
    expect(answers.map(({ status, body }) => body.detail ?? status).sort()).toEqual([200, 201]);
    expect(new Set(answers.map(({ body }) => body.runId)).size).toBe(1);
    expect(answers[0].body.runbook).toMatchObject({ name: 'dark', version: 0 });
    const { runId } = answers[0].body;
    const live = await shown(runId, (run) => run.source === 'live');
    expect(live.notice).toMatch(/Postgres does not answer/);
    expect((await start('shop', {})).body.detail).toMatch(/muster run FILE/);
    await call('POST', `/runs/${runId}/abort`, { body: { reason: 'Only a test.' } });
  } finally {
    stack.postgres.mend();
  }
});

test('with Postgres down a plan starts with what it includes as this API last read it, which is said', async () => {
  await tools.imported(shop('part', (one) => one.replace('    gate: data-is-good\n', '')));
  const text = 'format: 1\nname: whole\ntitle: Whole\nincludes: [{ runbook: part }]\n';
  const [reading, fresh] = [caller(stack), caller(stack)];
  await Promise.all([reading.refresh(), reading('GET', '/me'), fresh('GET', '/me')]);
  stack.postgres.cut();
  try {
    const push = (api: Call, key: string) =>
      recoveryTools(stack, api).startRunbook('whole', { mode: 'recovery', text }, { key });
    const unread = await push(fresh, 'never-read');
    expect(unread).toMatchObject({
      status: 503,
      body: { detail: expect.stringContaining('runbook "part" cannot be') },
    });
    const { status, body } = await push(reading, 'read-before');
    expect([status, body.detail, body.servers]).toEqual([201, undefined, 3]);
    expect(body.notices).toEqual([
      expect.stringMatching(/^Postgres does not answer: servers are taken as they were last read/),
      expect.stringMatching(/^Included runbooks are taken as they were last read, at \d.*Z: part \(version 1\)\.$/),
    ]);
    const live = await shown(body.runId, (run) => run.source === 'live');
    expect(live.view).toMatchObject({ serverCount: 3 });
    await call('POST', `/runs/${body.runId}/abort`, { body: { reason: 'Only a test.' } });
  } finally {
    stack.postgres.mend();
  }
});

test('a key that Postgres did not keep stands for one run all the same, though Postgres answers all else', async () => {
  await tools.imported(shop('twice'));
  const remember = () => Promise.reject(new Error('no answer'));
  const forgetful = { ...stack.store, idempotency: { ...stack.store.idempotency, remember } };
  const other = caller({ ...stack, deps: { ...stack.deps, store: forgetful } });
  const push = () =>
    other('POST', '/runbooks/twice/runs', {
      body: { mode: 'recovery', intent: 'planned', reason: 'Site A is moved' },
      headers: { 'idempotency-key': 'pushed-twice' },
    });
  const answers = await Promise.all([push(), push()]);
  expect(answers.map(({ status, body }) => body.detail ?? status).sort()).toEqual([200, 201]);
  const [first, second] = answers.map(({ body }) => ({ ...body, seenBefore: null }));
  expect(first).toEqual(second);
  expect(first).toMatchObject({ runbook: { name: 'twice', version: 1 }, servers: 3 });
  await call('POST', `/runs/${first!.runId}/abort`, { body: { reason: 'Only a test.' } });
});

test('the id that a key stands for without Postgres is a UUIDv7 of its time', () => {
  const now = Date.parse('2026-03-14T02:11:07.412Z');
  expect(isUuidV7(runIdOfKey('plan/a/b', now))).toBe(true);
  expect(runIdOfKey('plan/a/b', now)).toBe(runIdOfKey('plan/a/b', now + 60_000));
  expect(runIdOfKey('plan/a/c', now)).not.toBe(runIdOfKey('plan/a/b', now));
});

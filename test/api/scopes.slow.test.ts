/** Where a role holds: a table of route and scope, made from the tables of the API, so that a route without a row fails. */
import { openOperations, type Operation } from '../../api/authorisation';
import { reaches, whyNot } from '../../api/reach';
import { holdsAt } from '../../model/access';
import type { AccessScope } from '../../model/people';
import type { roles } from '../../store/contract';
import { at, batch, event, newRunId, opened, order, serverSpec } from '../store/run-events';
import { planStory } from '../support/plan-story';
import { caller, openTestStack, type Call, type TestStack } from './stack';

let stack: TestStack;
let call: Call;
let runId: string;
const site = (name: string): AccessScope => ({ kind: 'site', name });
const runbook = (name: string): AccessScope => ({ kind: 'runbook', name });

beforeAll(async () => {
  stack = await openTestStack();
  call = caller(stack);
  for (const [name, recoverySiteId] of [
    ['here01', 'paris'],
    ['away01', 'rome'],
  ] as const)
    await stack.store.servers.save(serverSpec({ id: `id-${name}`, name, recoverySiteId }));
  runId = await waitingRun('here01', 'paris', 'shop');
  await waitingRun('away01', 'rome', 'bank');
  const text = 'name: shop';
  for (const name of ['shop', 'bank'])
    await stack.store.runbooks.import({ name, text, title: name, tier: 1, includes: [], importedBy: 'admin' });
});
afterAll(() => stack?.close());

/** A run that is stuck at its first step, as its record has it. */
async function waitingRun(name: string, siteId: string, book: string): Promise<string> {
  const id = newRunId();
  const server = serverSpec({ id: `id-${name}`, name, recoverySiteId: siteId });
  const first = opened(id, 0, server);
  const base = order(id, server);
  const placed = {
    ...base,
    target: { ...base.target, siteId },
    partOf: { runId: 'plan', workflowId: 'plan', runbooks: [book] },
  };
  const failure = { family: 'PermanentError', message: `${name} has no disk`, remedy: null, detail: null } as const;
  const parked = event(
    'parked',
    { epoch: 1, undo: false, failure, allowed: ['retry'], remedy: 'Find it.' },
    { step: 'preflight' },
  );
  if (first.kind !== 'run-opened') throw new Error('no order');
  await stack.store.journal.append(batch(id, 1, [{ ...first, data: { ...first.data, order: placed } }, parked]));
  return id;
}

let people = 0;
async function scoped(role: (typeof roles)[number], ...scopes: AccessScope[]): Promise<string> {
  const { token } = await stack.store.tokens.issue({ name: `${role}-${(people += 1)}`, role, scopes }, null);
  return token;
}

interface Route {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

async function routes(): Promise<Route[]> {
  const document = (await call('GET', '/openapi.json', { token: null })).body;
  return Object.entries(document.paths as Record<string, Record<string, { operationId: string }>>)
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { operationId }]) => ({
        ...{ path, method: method.toUpperCase(), operation: operationId as Operation },
      })),
    )
    .filter(({ operation }) => !(openOperations as readonly string[]).includes(operation));
}

const namingHere = 'format: 1\nname: new\ntitle: New\nwaves: [{ name: one, servers: [{ name: here01 }] }]\n';

/** What an operation needs in its body before its place is looked at. */
const bodies: Partial<Record<Operation, object>> = {
  startRecovery: { server: 'here01', hardware: 'vmware-pvscsi', reason: 'power lost' },
  addServer: {
    ...{ name: 'new01', recoverySiteId: 'paris', source: { siteId: 'production', machineName: 'new01' }, tier: 1 },
    ...{ objectives: { rpoMs: 1_000, rtoMs: 1_000 }, probes: [] },
  },
  decide: { step: 'preflight', decision: 'retry', reason: 'mended' },
  startPlan: { mode: 'rehearsal', intent: 'planned', reason: 'as every month' },
  planRunbook: { name: 'shop' },
  checkRunbook: { text: namingHere },
  importRunbook: { text: namingHere },
};
const reasoned = { reason: 'as the test says' };

const pathOf = ({ path }: Route): string =>
  path
    .replace('/api/v1', '')
    .replace('{runId}', runId)
    .replace('{server}', 'here01')
    .replace('{name}', 'shop')
    .replaceAll(/\{\w+\}/g, 'a'.repeat(64));

async function answerTo(route: Route, token: string): Promise<{ status: number; body: { detail?: string } }> {
  const body = route.method === 'GET' || route.method === 'DELETE' ? {} : { body: bodies[route.operation] ?? reasoned };
  const headers = { 'idempotency-key': `key-${(people += 1)}-0000` };
  return call(route.method, pathOf(route), { token, headers, ...body });
}

test('every route has its reach, and an admin of elsewhere meets a shut door at all that is here', async () => {
  const elsewhere = await scoped('admin', site('elsewhere'), runbook('other'));
  for (const route of await routes()) {
    const reach = reaches[route.operation];
    expect([route.operation, typeof reach]).not.toEqual([route.operation, 'undefined']);
    // A stream does not end by itself; the door is the same as for the run.
    if (reach === 'nothing' || reach === 'filtered') continue;
    const { status, body } = await answerTo(route, elsewhere);
    // A body that is no good is refused before anybody asks where it leads.
    if (status === 400) {
      expect([route.operation, bodies[route.operation]]).toEqual([route.operation, undefined]);
      const here = { sites: ['paris'], runbooks: ['shop'] };
      expect(whyNot({ role: 'admin', scopes: [site('elsewhere')] }, route.operation, here)).not.toBeNull();
      continue;
    }
    expect([route.operation, status, body.detail]).toEqual([
      route.operation,
      403,
      expect.stringMatching(/role admin at runbook other, site elsewhere, needed one that holds/),
    ]);
  }
});

test('whoever is at home gets in, by site or by runbook', async () => {
  const bySite = await scoped('viewer', site('paris'));
  const byRunbook = await scoped('viewer', runbook('shop'));
  expect((await call('GET', '/servers/here01', { token: bySite })).status).toBe(200);
  expect((await call('GET', '/servers/away01', { token: bySite })).status).toBe(403);
  expect((await call('GET', '/servers/here01', { token: byRunbook })).status).toBe(403);
  for (const token of [bySite, byRunbook]) expect((await call('GET', `/runs/${runId}`, { token })).status).toBe(200);
  expect((await call('GET', '/runbooks/shop', { token: byRunbook })).status).not.toBe(403);
  expect((await call('GET', '/runbooks/bank', { token: byRunbook })).status).toBe(403);
});

test('lists show what is where the role holds, and nothing else', async () => {
  const token = await scoped('operator', site('paris'), runbook('shop'));
  for (const { operation, path, method } of await routes()) {
    if (reaches[operation] !== 'filtered') continue;
    const { status, text } = await textOf(method, path, token);
    expect([operation, status]).toEqual([operation, 200]);
    expect([operation, text.includes('away01') || text.includes('bank')]).toEqual([operation, false]);
  }
  const whole = await textOf('GET', '/api/v1/stuck', stack.tokens.viewer);
  expect([whole.text.includes('away01'), whole.text.includes('here01')]).toEqual([true, true]);
});

async function textOf(method: string, path: string, token: string): Promise<{ status: number; text: string }> {
  const { status, body } = await call(method, path.replace('/api/v1', ''), { token });
  return { status, text: JSON.stringify(body) };
}

test('who does not see everything is told no names that are elsewhere, neither as meant nor as past', async () => {
  const token = await scoped('viewer', site('paris'));
  for (const path of ['/servers/awa', '/servers/away0', '/runs?server=awa']) {
    const { status, body } = await call('GET', path, { token });
    expect([path, status]).toEqual([path, 404]);
    expect(JSON.stringify(body)).not.toContain('away01');
    expect(JSON.stringify((await call('GET', path)).body)).toContain('away01');
  }
  const books = [['paris', 'rome'], ['paris']].map((sites, at) => planAt(sites, 3600 * at));
  for (const { runId: id, events } of books) await stack.store.journal.append(batch(id, 1, events));
  const report = async (as?: string) => {
    const { body } = await call(
      'GET',
      `/runs/${books[1]!.runId}/report?format=json`,
      as === undefined ? {} : { token: as },
    );
    return (body.trend as { runId: string }[]).map((one) => one.runId);
  };
  expect(await report()).toEqual([books[0]!.runId]);
  expect(await report(token)).toEqual([]);
});

/** A plan that has ended, with servers at these sites. */
function planAt(sites: string[], second: number) {
  const id = newRunId();
  const { events } = planStory(undefined, { runId: id });
  const [first] = events;
  if (first?.kind !== 'plan-opened') throw new Error('no plan');
  const from = { ...first, at: at(second), data: { ...first.data, order: { ...first.data.order, sites } } };
  const closed = event(
    'run-closed',
    { state: 'succeeded', summary: 'Done.', childHashes: {} },
    { at: at(second + 60) },
  );
  return { runId: id, events: [from, closed] };
}

test('who holds a runbook previews it and reads its readiness, but no other, and no text with servers of others', async () => {
  const token = await scoped('coordinator', runbook('shop'));
  const preview = (body: object) => call('POST', '/runbooks/plan', { token, body });
  // Its stored text is none; the door is open.
  expect((await preview({ name: 'shop' })).body).toMatchObject({ ok: false, plan: null });
  for (const [body, needed] of [
    [{ name: 'bank' }, 'needed one that holds at runbook bank'],
    [{ text: namingHere }, 'needed one that holds at server here01 (site paris)'],
  ] as const) {
    expect(await preview(body)).toMatchObject({ status: 403, body: { detail: expect.stringContaining(needed) } });
  }
  expect((await call('GET', '/runbooks/shop/readiness?severity=critical', { token })).status).toBe(200);
  expect((await call('GET', '/runbooks/bank/readiness', { token })).status).toBe(403);
  const server = await call('GET', '/runbooks/here01/readiness');
  expect(server).toMatchObject({ status: 404, body: { detail: expect.stringContaining('runbook') } });
});

test('scopes are given with the token, shown with it, and narrow the same role at every token', async () => {
  const body = { name: 'Paula', role: 'operator', scopes: [site('paris'), runbook('shop')] };
  const issued = await call('POST', '/tokens', { body });
  expect(issued).toMatchObject({ status: 201, body: { person: { scopes: [runbook('shop'), site('paris')] } } });
  const { token } = issued.body as { token: string };
  expect((await call('GET', '/me', { token })).body).toMatchObject({ scopes: [runbook('shop'), site('paris')] });
  expect(JSON.stringify((await call('GET', '/tokens')).body)).toContain('"name":"paris"');
  const wider = await call('POST', '/tokens', { body: { ...body, scopes: [] } });
  expect(wider).toMatchObject({ status: 409, body: { detail: expect.stringContaining('Revoke those tokens first') } });
  const strange = await call('POST', '/tokens', { body: { ...body, scopes: [{ kind: 'planet', name: 'x' }] } });
  expect(strange.status).toBe(400);
});

test('a role with scopes holds at one runbook, or at all sites, and never at nothing', () => {
  const two = { sites: ['paris', 'rome'], runbooks: ['shop'] };
  expect(holdsAt(undefined, two)).toBe(true);
  expect(holdsAt([], two)).toBe(true);
  expect(holdsAt([site('paris')], two)).toBe(false);
  expect(holdsAt([site('paris'), site('rome')], two)).toBe(true);
  expect(holdsAt([runbook('shop')], two)).toBe(true);
  expect(holdsAt([site('shop')], two)).toBe(false);
  expect(holdsAt([site('paris')], { sites: [], runbooks: [] })).toBe(false);
});

test('the stuck list says why, what to do, and for how long; without Postgres it says that the runs were asked', async () => {
  const { body, status } = await call('GET', '/stuck?site=paris&unclaimed=true');
  expect(status).toBe(200);
  expect(body).toMatchObject({
    ...{ total: 1, source: 'store', notice: null },
    items: [
      {
        ...{ serverName: 'here01', runbooks: ['shop'], sites: ['paris'], step: 'preflight', kind: 'stuck', told: [] },
        ...{ cause: 'here01 has no disk', remedy: 'Find it.', allowed: ['retry'], claimedBy: null },
      },
    ],
  });
  expect((body as { items: { waitingMs: number }[] }).items[0]!.waitingMs).toBeGreaterThan(0);
  expect((await call('GET', '/stuck?mine=true')).body).toMatchObject({ items: [], total: 0 });
  await call('GET', '/me');
  stack.postgres.cut();
  try {
    const live = await call('GET', '/stuck');
    expect(live).toMatchObject({
      status: 200,
      body: { source: 'live', items: [], notice: expect.stringContaining('Postgres does not answer') },
    });
  } finally {
    stack.postgres.mend();
  }
});

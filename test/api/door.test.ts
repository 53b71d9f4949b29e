/** What every request meets: tokens, roles, limits, and errors in one form. */
import { authorisation } from '../../api/authorisation';
import { roles } from '../../store/contract';
import { caller, eventually, openTestStack, type Call, type TestStack } from './stack';

let stack: TestStack;
let call: Call & { app: ReturnType<typeof caller>['app'] };

beforeAll(async () => {
  stack = await openTestStack({ bodyLimitBytes: 4096 });
  call = caller(stack);
});
afterAll(() => stack?.close());

const unknownRun = '0195923c-70b4-7c31-9a55-3f2e8d10c7aa';

test('without a token, or with a wrong one, nothing is answered and the attempt is recorded', async () => {
  const none = await call('GET', '/servers', { token: null });
  expect(none.status).toBe(401);
  expect(none.headers.get('content-type')).toBe('application/problem+json');
  expect(none.headers.get('www-authenticate')).toContain('Bearer');
  const wrong = await call('GET', '/servers', { token: 'mst_wrong' });
  expect(wrong.body).toMatchObject({ type: 'urn:muster:problem:unauthenticated', status: 401 });
  const refused = await call('POST', '/tokens', { token: stack.tokens.viewer, body: {} });
  expect(refused).toMatchObject({ status: 403, body: { detail: expect.stringContaining('viewer') } });
  const rows = await eventually(async () => {
    const found = await stack.refusedRows();
    return found.length >= 3 && found;
  });
  expect(rows.map(({ actorName }) => actorName).sort()).toEqual(['unknown', 'unknown', 'viewer']);
  expect(rows.find(({ actorName }) => actorName === 'viewer')?.requestId).toBe(refused.body.requestId);
});

test('a browser without a token gets a page that says how to look, and nothing of the run; a program gets the problem', async () => {
  const browser = { token: null, headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } };
  const page = await call('GET', `/runs/${unknownRun}/report`, browser);
  expect(page.status).toBe(401);
  expect(page.headers.get('content-type')).toContain('text/html');
  expect(page.headers.get('www-authenticate')).toContain('Bearer');
  expect(page.headers.get('cache-control')).toBe('no-store');
  expect(page.headers.get('content-security-policy')).toMatch(/default-src 'none'.*sandbox/);
  expect(page.body).toContain(`muster report ${unknownRun}`);
  expect(page.body).toContain('A login is needed');
  expect(page.body).not.toMatch(/<script|<form|src=|href=/);
  const odd = await call('GET', `/runs/${encodeURIComponent('"><script>x')}/report`, browser);
  expect(odd).toMatchObject({ status: 401, body: expect.stringContaining('muster report RUN') });
  expect(odd.body).not.toContain('script');
  const wrong = { token: 'mst_wrong', headers: browser.headers };
  expect((await call('GET', `/runs/${unknownRun}/report`, wrong)).body.type).toBe('urn:muster:problem:unauthenticated');
  expect((await call('GET', `/runs/${unknownRun}/report`, { token: null })).body.status).toBe(401);
});

/** Who may do what, by hand: a role that is given too much, or too little, fails here. Roles -> what they, and nobody else, may do. */
const everybody = 'viewer auditor operator coordinator admin';
const allowed: Record<string, readonly string[]> = {
  [everybody]: [
    ...['GET /me', 'GET /metrics', 'GET /stuck', 'GET /machines', 'GET /replicas', 'GET /readiness', 'GET /schedules'],
    ...['GET /servers', 'GET /servers/{server}', 'GET /servers/{server}/replica', 'GET /servers/{server}/readiness'],
    ...['GET /runbooks', 'GET /runbooks/{name}', 'GET /runbooks/{name}/readiness', 'GET /sites/{site}/evacuation'],
    ...['POST /runbooks/check', 'POST /runbooks/plan'],
    ...['GET /runs', 'GET /runs/{runId}', 'GET /runs/{runId}/events', 'GET /runs/{runId}/report'],
    'GET /runs/{runId}/decisions/{requestId}',
  ],
  'auditor operator coordinator admin': ['GET /runs/{runId}/evidence/{sha256}', 'GET /notifications'],
  'operator coordinator admin': [
    ...['POST /recoveries', 'POST /runbooks/{name}/runs', 'POST /rehearsals/{runId}/clean-up'],
    ...['POST /runs/{runId}/decisions', 'POST /runs/{runId}/abort', 'POST /runs/{runId}/abort/withdraw'],
    ...['POST /runs/{runId}/hold', 'POST /runs/{runId}/go-on'],
    ...['POST /servers/{server}/protection/pause', 'POST /servers/{server}/protection/resume'],
    ...['POST /readiness/rounds', 'POST /runbooks/{name}/readiness/rounds', 'POST /servers/{server}/readiness/rounds'],
  ],
  'coordinator admin': [
    ...['POST /servers', 'DELETE /servers/{server}', 'POST /servers/{server}/protection'],
    ...['POST /servers/{server}/protection/reverse', 'POST /servers/{server}/protection/remove'],
    ...['POST /runbooks', 'POST /schedules/{name}/acts', 'POST /machines/{machine}/release'],
    'POST /runs/{runId}/close',
  ],
  'auditor admin': ['GET /tokens'],
  admin: ['POST /tokens', 'DELETE /tokens/{tokenId}', 'POST /notifications/test'],
};
const withoutToken = ['GET /health', 'GET /ready'];

test('each role may do what the table of roles and routes says, and nothing else; no route is left out', async () => {
  const document = (await call('GET', '/openapi.json', { token: null })).body;
  const operations = Object.entries(document.paths as Record<string, Record<string, { operationId: string }>>).flatMap(
    ([path, methods]) =>
      Object.entries(methods).map(([method, { operationId }]) => ({
        route: `${method.toUpperCase()} ${path.replace('/api/v1', '')}`,
        operationId,
      })),
  );
  const byHand = Object.values(allowed).flat();
  expect(operations.map(({ route }) => route).sort()).toEqual([...byHand, ...withoutToken].sort());
  const guarded = operations.filter(({ route }) => byHand.includes(route));
  expect(guarded.map(({ operationId }) => operationId).sort()).toEqual(Object.keys(authorisation).sort());
  // Together: some wait for a site that nobody works at.
  const asked = guarded.map(async ({ route }) => {
    const [method, path] = route.split(' ') as [string, string];
    const place = path.replace('{runId}', unknownRun).replaceAll(/\{\w+\}/g, 'none-such');
    expect([route, (await call(method, place, { token: null })).status]).toEqual([route, 401]);
    const answers = roles.map(async (role) => {
      const { status } = await call(method, place, { token: stack.tokens[role] });
      return status === 403 ? [] : [role];
    });
    const [who] = Object.entries(allowed).find(([, routes]) => routes.includes(route))!;
    expect([route, (await Promise.all(answers)).flat().join(' ')]).toEqual([route, who]);
  });
  await Promise.all(asked);
});

test('errors that no route makes are problems, too: 404, 405, 413, 415 and bad JSON', async () => {
  expect(await call('GET', '/nothing')).toMatchObject({ status: 404, body: { type: 'urn:muster:problem:not-found' } });
  const method = await call('PUT', '/servers');
  expect(method).toMatchObject({ status: 405, body: { type: 'urn:muster:problem:method-not-allowed' } });
  expect(method.headers.get('allow')).toBe('GET, POST');
  const large = await call('POST', '/servers', { body: { name: 'x'.repeat(5000) } });
  expect(large).toMatchObject({ status: 413, body: { detail: expect.stringContaining('4096') } });
  const form = await call('POST', '/servers', { body: 'a=b', headers: { 'content-type': 'text/plain' } });
  expect(form.status).toBe(415);
  const broken = await call('POST', '/servers', { body: '{"name":' });
  expect(broken).toMatchObject({ status: 400, body: { type: 'urn:muster:problem:bad-request' } });
});

test('all problems of a request are reported at once, wherever they are', async () => {
  const answer = await call('POST', '/recoveries', {
    body: { server: '', hardware: 'toaster', reason: ' ', surprise: 1 },
    headers: { 'idempotency-key': 'short' },
  });
  expect(answer.status).toBe(400);
  const places = answer.body.issues.map(({ at }: { at: string }) => at);
  expect(places).toEqual(
    expect.arrayContaining(['header.idempotency-key', 'body.server', 'body.reason', 'body.hardware']),
  );
  expect(answer.body.detail).toContain('surprise');
});

test('a well-formed request id is kept, another is replaced, and answers are not cached', async () => {
  const kept = await call('GET', '/me', { headers: { 'x-request-id': 'my-request-1' } });
  expect(kept.headers.get('x-request-id')).toBe('my-request-1');
  expect(kept.headers.get('cache-control')).toBe('no-store');
  expect(kept.headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(kept.body).toMatchObject({ name: 'admin', role: 'admin' });
  const replaced = await call('GET', '/me', { headers: { 'x-request-id': 'bad id;' } });
  expect(replaced.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
});

test('a token is issued, works, is listed without its text, and is refused at once after it was revoked', async () => {
  const issued = await call('POST', '/tokens', { body: { name: 'Ines Okafor', role: 'operator' } });
  expect(issued.status).toBe(201);
  const { token, tokenId } = issued.body;
  expect((await call('GET', '/me', { token })).body).toMatchObject({ name: 'Ines Okafor', role: 'operator' });
  const list = await call('GET', '/tokens', { token: stack.tokens.auditor });
  expect(JSON.stringify(list.body)).toContain(tokenId);
  expect(JSON.stringify(list.body)).not.toContain(token);
  expect((await call('DELETE', `/tokens/${tokenId}`)).status).toBe(204);
  expect((await call('GET', '/me', { token })).status).toBe(401);
  expect((await call('DELETE', '/tokens/none-such')).status).toBe(404);
});

test('an unknown server suggests near names, and an unknown run says so', async () => {
  await stack.saveServer('billing01');
  const server = await call('GET', '/servers/biling01');
  expect(server).toMatchObject({
    status: 404,
    body: { near: ['billing01'], detail: expect.stringContaining('billing01') },
  });
  expect((await call('GET', '/servers/billing01')).body.name).toBe('billing01');
  expect((await call('GET', `/runs/${unknownRun}`)).status).toBe(404);
  expect((await call('GET', '/runs/not-a-run')).status).toBe(400);
});

test('health names each part, and a queue without a worker makes it 503', async () => {
  const health = await call('GET', '/health', { token: null });
  expect(health.status).toBe(503);
  expect(health.body.parts).toMatchObject([
    { name: 'postgres', ok: true },
    { name: 'temporal', ok: true },
    { name: 'worker muster', ok: false },
    { name: 'worker journal', ok: false },
    { name: 'worker site:dr', ok: false },
  ]);
  expect((await call('GET', '/ready', { token: null })).status).toBe(200);
});

test('with Postgres gone a token used lately still works, an unknown one is not taken, and health says what is missing', async () => {
  expect((await call('GET', '/me', { token: stack.tokens.operator })).status).toBe(200);
  const stale = caller({ ...stack, deps: { ...stack.deps, config: { ...stack.deps.config, tokenFreshMs: 0 } } });
  expect((await stale('GET', '/me', { token: stack.tokens.operator })).status).toBe(200);
  stack.postgres.cut();
  try {
    expect((await stale('GET', '/me', { token: stack.tokens.operator })).status).toBe(200);
    const unseen = await stale('GET', '/me', { token: stack.tokens.auditor });
    expect(unseen).toMatchObject({ status: 503, body: { type: 'urn:muster:problem:part-unavailable' } });
    const health = await call('GET', '/health', { token: null });
    expect(health.body.parts[0]).toMatchObject({ name: 'postgres', ok: false });
  } finally {
    stack.postgres.mend();
  }
});

test('a clock of the API’s host that is set back makes no token good for longer', async () => {
  let passedMs = 0;
  const clock = () => new Date(Date.now() + passedMs - 3_600_000);
  const elapsedMs = () => performance.now() + passedMs;
  const behind = caller({ ...stack, deps: { ...stack.deps, clock, elapsedMs } });
  const expiresAt = new Date(Date.now() + 20_000).toISOString();
  const issue = async (more: object) =>
    (await call('POST', '/tokens', { body: { name: 'Nora', role: 'viewer', ...more } })).body;
  const [ending, revoked] = [await issue({ expiresAt }), await issue({})];
  for (const { token } of [ending, revoked]) expect((await behind('GET', '/me', { token })).status).toBe(200);
  // By another process: this one is told nothing.
  await stack.store.tokens.revoke(revoked.tokenId);
  passedMs = stack.deps.config.tokenFreshMs;
  expect((await behind('GET', '/me', { token: revoked.token })).status).toBe(401);
  passedMs = 3_620_000;
  stack.postgres.cut();
  try {
    expect((await behind('GET', '/me', { token: ending.token })).status).toBe(401);
  } finally {
    stack.postgres.mend();
  }
});

test('a token that has ended is refused at that moment, also by whoever took it lately and with Postgres gone', async () => {
  let aheadMs = 0;
  const moved = caller({ ...stack, deps: { ...stack.deps, clock: () => new Date(Date.now() + aheadMs) } });
  const expiresAt = new Date(Date.now() + 20_000).toISOString();
  const { token } = (await call('POST', '/tokens', { body: { name: 'Nora', role: 'viewer', expiresAt } })).body;
  expect((await moved('GET', '/me', { token })).status).toBe(200);
  stack.postgres.cut();
  try {
    expect((await moved('GET', '/me', { token })).status).toBe(200);
    aheadMs = 20_000;
    expect((await moved('GET', '/me', { token })).status).toBe(401);
  } finally {
    stack.postgres.mend();
  }
});

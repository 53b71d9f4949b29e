/** Runbooks and servers' readiness for people whose role holds at some sites or runbooks only: a table of text and scope. */
import type { ApiDeps } from '../../api/deps';
import type { AccessScope, Role } from '../../model/people';
import { serverSpec } from '../store/run-events';
import { caller, eventually, openTestStack, type Call, type TestStack } from './stack';

let stack: TestStack;
let call: Call;
const site = (name: string): AccessScope => ({ kind: 'site', name });
const runbook = (name: string): AccessScope => ({ kind: 'runbook', name });

beforeAll(async () => {
  stack = await openTestStack({ siteIds: ['paris', 'rome'] });
  const lan = { networks: [{ name: 'lan', isolated: false }], hardware: ['kvm-virtio'], programs: [] };
  const schedules = { saveSchedule: () => Promise.resolve(), removeSchedule: () => Promise.resolve() };
  const silent = { viewReplicas: () => Promise.reject(new Error('nobody works there')) };
  const temporal: ApiDeps['temporal'] = {
    ...{ ...stack.deps.temporal, ...schedules, ...silent },
    viewSite: () => Promise.resolve(lan),
  };
  call = caller({ ...stack, deps: { ...stack.deps, temporal } });
  for (const [name, recoverySiteId] of [
    ['here01', 'paris'],
    ['here02', 'paris'],
    ['away01', 'rome'],
  ] as const) {
    await stack.store.servers.save(serverSpec({ id: `id-${name}`, name, recoverySiteId }));
  }
  for (const known of [text('shop', '{ name: here01 }'), text('bank', '{ name: away01 }')]) {
    expect((await call('POST', '/runbooks', { body: { text: known } })).body.issues).toBeUndefined();
  }
});
afterAll(() => stack?.close());

const text = (name: string, servers: string, more = '') => `format: 1
name: ${name}
title: Runbook ${name}
networks: { recovery: { office: lan } }
defaults: { hardware: kvm-virtio }
${more}waves:
  - name: all-of-${name}
    servers: [${servers}]
`;
const including = (name: string, ...names: string[]) =>
  `format: 1\nname: ${name}\ntitle: ${name}\nincludes: [${names.map((one) => `{ runbook: ${one} }`).join(', ')}]\n`;

let people = 0;
async function scoped(role: Role, ...scopes: AccessScope[]): Promise<string> {
  const { token } = await stack.store.tokens.issue({ name: `${role}-${(people += 1)}`, role, scopes }, null);
  return token;
}

test('a site that this installation does not have is an error, also where a failback may name one that has no replica yet', async () => {
  for (const direction of ['recovery', 'failback']) {
    const there = text('elsewhere', '{ name: here01 }', `direction: ${direction}\n`).replace(
      'defaults: {',
      'defaults: { site: nowhere,',
    );
    const { body } = await call('POST', '/runbooks/check', { body: { text: there } });
    const problem = { severity: 'error', found: '"nowhere"', needed: 'one of paris, rome' };
    expect(body.problems).toContainEqual(expect.objectContaining(problem));
  }
});

describe('a text is read, previewed and imported where every server, site and included runbook of it is', () => {
  const paris = [site('paris')];
  const both = [site('paris'), site('rome')];
  const cases: readonly [string, string, readonly AccessScope[], string | null][] = [
    ['its servers are at the site', text('own', '{ name: here01 }, { name: here02 }'), paris, null],
    ['what it includes is there, too', including('owns', 'shop'), paris, null],
    ['all its sites are', text('wide', '{ name: here02 }, { name: away01 }'), both, null],
    ['a server of elsewhere', text('grab', '{ name: here01 }, { name: away01 }'), paris, 'server away01 (site rome)'],
    [
      'a server that is sent elsewhere',
      text('push', '{ name: here01, site: rome }'),
      paris,
      'server here01 (sites paris, rome)',
    ],
    [
      'a server of elsewhere that is sent here',
      text('pull', '{ name: away01, site: paris }'),
      paris,
      'server away01 (sites rome, paris)',
    ],
    [
      'limits of elsewhere',
      text('slow', '{ name: here01 }', 'limits: { sites: { rome: 1 } }\n'),
      paris,
      'limits.sites (site rome)',
    ],
    [
      'a runbook of elsewhere, included',
      including('more', 'bank'),
      paris,
      'included runbook bank (runbook bank at site rome)',
    ],
    ['a site that is left', `${including('leave', 'shop')}evacuates: rome\n`, paris, 'evacuates (site rome)'],
  ];
  test.each(cases)('%s', async (_, body, scopes, out) => {
    const token = await scoped('coordinator', ...scopes);
    for (const path of ['/runbooks/check', '/runbooks/plan', '/runbooks']) {
      const { status, body: answer } = await call('POST', path, { token, body: { text: body } });
      if (out === null) expect([path, status < 300, answer.issues]).toEqual([path, true, undefined]);
      else {
        const words = expect.stringContaining(`needed one that holds at ${out}`);
        expect([path, status, answer.detail]).toEqual([path, 403, words]);
      }
    }
  });

  test('of what it may not, nothing is stored, and the refusal stands in the chain of the installation', async () => {
    expect((await call('GET', '/runbooks/grab')).status).toBe(404);
    await eventually(async () => JSON.stringify(await stack.refusedRows()).includes('server away01 (site rome)'));
  });

  test('many are named by the first few, each once', async () => {
    for (let n = 0; n < 8; n += 1) {
      const name = `far0${n}`;
      await stack.store.servers.save(serverSpec({ id: `id-${name}`, name, recoverySiteId: 'rome' }));
    }
    const servers = Array.from({ length: 8 }, (_, n) => `{ name: far0${n} }`).join(', ');
    const token = await scoped('coordinator', ...paris);
    const { body } = await call('POST', '/runbooks', { token, body: { text: text('far', servers) } });
    expect(body.detail).toMatch(/server far00 \(site rome\), .*far04 \(site rome\) and 3 more/);
  });

  test('a text that cannot be read is told what is wrong with it, and is nobody’s', async () => {
    const token = await scoped('coordinator', ...paris);
    const answer = await call('POST', '/runbooks/check', { token, body: { text: 'format: 1\nname: x\nname: y\n' } });
    expect(answer).toMatchObject({ status: 200, body: { ok: false } });
    expect((await call('POST', '/runbooks', { token, body: { text: 'name: y' } })).status).toBe(422);
  });

  test('nobody takes the name of a runbook of elsewhere, nor imports by holding the runbook alone', async () => {
    const mine = text('bank', '{ name: here01 }');
    const atSite = await scoped('coordinator', ...paris);
    const taken = await call('POST', '/runbooks', { token: atSite, body: { text: mine } });
    expect([taken.status, taken.body.detail]).toEqual([
      403,
      expect.stringContaining('needed one that holds at runbook bank as it is imported (runbook bank at site rome)'),
    ]);
    expect((await call('POST', '/runbooks/plan', { token: atSite, body: { text: mine } })).body.ok).toBe(true);
    const holder = await scoped('coordinator', runbook('shop'));
    const wave = text('shop', '{ name: here01, site: paris }', 'limits: { sites: { paris: 1 } }\n');
    expect((await call('POST', '/runbooks/plan', { token: holder, body: { text: wave } })).body.ok).toBe(true);
    expect((await call('POST', '/runbooks', { token: holder, body: { text: wave } })).status).toBe(403);
    const wider = text('shop', '{ name: here01 }, { name: here02 }');
    expect(await call('POST', '/runbooks/plan', { token: holder, body: { text: wider } })).toMatchObject({
      status: 403,
      body: { detail: expect.stringContaining('server here02 (site paris)') },
    });
  });
});

test('a runbook all of whose servers are at the site is seen, previewed and started there; another is not', async () => {
  const token = await scoped('coordinator', site('paris'));
  const shown = (await call('GET', '/runbooks', { token })).body.items.map(({ name }: { name: string }) => name);
  expect(shown).toEqual(expect.arrayContaining(['shop', 'own', 'owns']));
  expect(shown).toEqual(expect.not.arrayContaining(['bank', 'wide']));
  const plan = (name: string) => call('POST', '/runbooks/plan', { token, body: { name } });
  expect((await plan('shop')).body.ok).toBe(true);
  expect([(await plan('bank')).status, (await plan('wide')).status]).toEqual([403, 403]);
  expect((await call('GET', '/runbooks/shop/readiness', { token })).status).toBe(200);
  expect((await call('GET', '/runbooks/bank', { token })).status).toBe(403);
  expect((await call('GET', '/runbooks/not-imported', { token })).status).toBe(403);
});

test('an older version, and a text that comes with a start, count by what they name themselves', async () => {
  const wide = text('moved', '{ name: here01 }, { name: away01 }');
  const narrow = text('moved', '{ name: here01 }');
  for (const one of [wide, narrow]) await call('POST', '/runbooks', { body: { text: one } });
  const token = await scoped('coordinator', site('paris'));
  const read = (version: number) => call('GET', `/runbooks/moved?version=${version}`, { token });
  expect([(await read(2)).status, (await read(1)).status]).toEqual([200, 403]);
  const start = (body: object) =>
    call('POST', '/runbooks/moved/runs', {
      ...{ token, headers: { 'idempotency-key': `key-moved-${(people += 1)}` } },
      body: { mode: 'rehearsal', intent: 'planned', reason: 'as every month', ...body },
    });
  const grab = text('moved', '{ name: here01 }, { name: away01 }', 'limits: { atOnce: 1 }\n');
  for (const body of [{ version: 1 }, { text: wide }, { text: grab }]) {
    const { status, body: answer } = await start(body);
    expect([body, status, answer.detail]).toEqual([body, 403, expect.stringContaining('rome')]);
  }
  expect((await start({})).status).toBe(201);
});

test('who holds the site of a server reads and asks its readiness, and of its runbooks those that are theirs', async () => {
  const token = await scoped('operator', site('paris'));
  const mine = await call('GET', '/servers/here01/readiness?severity=critical', { token });
  expect(mine.status).toBe(200);
  const names = mine.body.runbooks.map(({ name }: { name: string }) => name);
  expect(names).toEqual(expect.arrayContaining(['shop', 'own']));
  expect(JSON.stringify(mine.body)).not.toContain('rome');
  const round = await call('POST', '/servers/here01/readiness/rounds', { token });
  expect(round).toMatchObject({ status: 200, body: { silent: ['paris'] } });
  for (const [method, path] of [
    ['GET', '/servers/away01/readiness'],
    ['POST', '/servers/away01/readiness/rounds'],
    ['GET', '/readiness?of=here01'],
  ] as const) {
    expect([path, (await call(method, path, { token })).status]).toEqual([path, 403]);
  }
  const viewer = await scoped('viewer', site('paris'));
  expect((await call('POST', '/servers/here01/readiness/rounds', { token: viewer })).status).toBe(403);
  expect((await call('GET', '/servers/shop/readiness')).status).toBe(404);
});

test('with Postgres away a runbook and a text are placed as they were last read', async () => {
  const token = await scoped('coordinator', site('paris'));
  for (const name of ['shop', 'bank']) await call('POST', '/runbooks/plan', { token, body: { name } });
  await (call as ReturnType<typeof caller>).refresh();
  stack.postgres.cut();
  try {
    const check = (body: string) => call('POST', '/runbooks/check', { token, body: { text: body } });
    expect((await check(text('own', '{ name: here01 }'))).status).toBe(200);
    expect((await check(text('own', '{ name: away01 }'))).status).toBe(403);
    const start = (name: string) =>
      call('POST', `/runbooks/${name}/runs`, {
        ...{ token, headers: { 'idempotency-key': `key-away-${name}` } },
        body: { mode: 'recovery', intent: 'disaster', reason: 'power lost' },
      });
    expect((await start('bank')).status).toBe(403);
    expect((await start('shop')).status).toBe(503);
  } finally {
    stack.postgres.mend();
  }
});

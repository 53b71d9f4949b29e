/** Runbooks through the API: everything wrong with a text at once, immutable versions, and no text that stops the API. */
import { createHash } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { parse } from 'yaml';
import type { ApiDeps } from '../../api/deps';
import { createReader, readingLimits } from '../../api/runbooks/reading';
import { Problem } from '../../api/problems';
import { longestText } from '../../model/schema/read-runbook';
import { makeOrder, storyServer } from '../support/order';
import { succeededStory } from '../support/stories';
import { caller, openTestStack, siteId, type Call, type TestStack } from './stack';

let stack: TestStack;
let call: Call;

/** A site that answers at once, and one that is away; test/api/runbooks.slow.test.ts asks a real one. */
const withSite = (viewSite: ApiDeps['temporal']['viewSite']): Call =>
  caller({ ...stack, deps: { ...stack.deps, temporal: { ...stack.deps.temporal, viewSite } } });
const lan = {
  networks: [
    { name: 'dr-lan', isolated: false },
    { name: 'lab', isolated: true },
  ],
  hardware: ['kvm-virtio'],
  programs: [],
};

beforeAll(async () => {
  stack = await openTestStack();
  call = withSite(() => Promise.resolve(lan));
  const nics = [{ ...storyServer.nics[0]!, network: 'lan' }];
  for (const name of ['db01', 'app01', 'web01']) {
    await stack.store.servers.save({ ...storyServer, id: uuidv7(), name, nics, recoverySiteId: siteId });
  }
});
afterAll(() => stack?.close());

const text = (name: string, servers: string, more = '') => `format: 1
name: ${name}
title: Runbook ${name}
networks: { recovery: { lan: dr-lan } }
defaults: { hardware: kvm-virtio }
${more}waves:
  - name: all-of-${name}
    servers: [${servers}]
`;
const check = (body: string, ask = call) => ask('POST', '/runbooks/check', { body: { text: body } });
const said = async (body: string) =>
  (await check(body)).body.problems.map(
    ({ line, column, found }: { line: number; column: number; found: string }) => `${line}:${column} ${found}`,
  );

test('a text is told all that is wrong with it, with its place, what was found, what is needed and what to do', async () => {
  const answer = await check(text('shop', '{ name: db02 }, { name: app01, after: [nothing], hardware: pc-ahci }'));
  expect(answer.status).toBe(200);
  expect(answer.body).toMatchObject({ ok: false, name: 'shop', notChecked: [] });
  expect(answer.body.problems[0]).toEqual({
    severity: 'error',
    line: 8,
    column: 17,
    at: ['waves', 0, 'servers', 0, 'name'],
    found: '"db02"',
    needed: 'a server of the inventory (`muster servers`)',
    remedy: 'Is "db01" meant?',
  });
  expect(answer.body.problems.map(({ found }: { found: string }) => found)).toEqual(['"db02"', '"nothing"', 'pc-ahci']);
  expect(await said('format: 1\nname: x\nname: y\n')).toEqual(['3:1 this key a second time']);
  expect(await said('a: &x [1]\nb: *x\n')).toEqual(['2:4 the alias *x']);
  expect(await said('format: 1\ntitle: "\ud800"\n')).toEqual(['2:9 half a character, or one that is none']);
});

test('a correct text is a version; the same again is that version; another is the next; none is ever changed', async () => {
  const first = text('shop', '{ name: db01 }');
  const second = first.replace('Runbook shop', 'Web shop');
  const imports = (body: string, token = stack.tokens.coordinator) =>
    call('POST', '/runbooks', { body: { text: body }, token });
  const sha256 = createHash('sha256').update(first).digest('hex');
  expect(await imports(first)).toMatchObject({
    status: 201,
    body: { name: 'shop', version: 1, sha256, seenBefore: false },
  });
  expect(await imports(first)).toMatchObject({ status: 200, body: { version: 1, seenBefore: true } });
  expect(await imports(second)).toMatchObject({ status: 201, body: { version: 2 } });
  expect((await imports(first, stack.tokens.operator)).status).toBe(403);

  const list = await call('GET', '/runbooks', { token: stack.tokens.viewer });
  expect(list.body.items).toMatchObject([{ name: 'shop', version: 2, title: 'Web shop', importedBy: 'coordinator' }]);
  expect(list.body.items[0]).not.toHaveProperty('text');
  const shown = await call('GET', '/runbooks/shop?version=1', { token: stack.tokens.viewer });
  expect(shown.body).toMatchObject({ version: 1, text: first, versions: [{ version: 2 }, { version: 1, sha256 }] });
  expect((await call('GET', '/runbooks/shop')).body.text).toBe(second);
  expect(await call('GET', '/runbooks/shop?version=3')).toMatchObject({
    status: 404,
    body: { detail: 'Runbook shop has no version 3. It has 2, 1' },
  });
  expect(await call('GET', '/runbooks/shap')).toMatchObject({ status: 404, body: { near: ['shop'] } });
});

test('a text with errors is not imported, and the refusal names each with its line', async () => {
  const refused = await call('POST', '/runbooks', { body: { text: text('broken', '{ name: db01 }, { name: db01 }') } });
  expect(refused).toMatchObject({ status: 422, body: { type: 'urn:muster:problem:runbook-errors' } });
  expect(refused.body.issues).toContainEqual({
    at: '8:33',
    message: 'found the server "db01" a second time, needed each name once',
  });
  expect((await call('GET', '/runbooks/broken')).status).toBe(404);
});

test('included runbooks are followed: unknown, a circle, too deep, and a server that is in two of them', async () => {
  const including = (name: string, ...names: string[]) =>
    `format: 1\nname: ${name}\ntitle: ${name}\nincludes:\n${names.map((one) => `  - runbook: ${one}\n`).join('')}`;
  const imports = async (body: string) => {
    const answer = await call('POST', '/runbooks', { body: { text: body } });
    expect([answer.status, answer.body.issues]).toEqual([201, undefined]);
  };
  await imports(text('front', '{ name: web01 }'));
  await imports(text('middle', '{ name: app01 }'));
  await imports(including('both', 'front', 'middle'));
  expect(await said(including('all', 'bothe'))).toEqual(['5:5 "bothe"']);
  expect(await said(including('both', 'both'))).toEqual(['5:5 the runbook itself']);
  const circle = text('front', '{ name: web01 }', 'includes: [{ runbook: both }]\n');
  expect(await said(circle)).toEqual(['6:14 a circle: front includes both includes front']);
  const twice = text('all', '{ name: app01 }', 'includes: [{ runbook: both }]\n');
  expect((await said(twice)).join()).toContain('"app01" in runbook all, too');
  for (let depth = 1; depth <= 3; depth += 1) {
    await imports(including(`depth-${depth}`, depth === 1 ? 'both' : `depth-${depth - 1}`));
  }
  const limits = 'limits: { atOnce: 1, sites: { dr: 1 }, datastores: { fast: 1 } }\n';
  const inVain = await said(`${including('limited', 'both')}${limits}`);
  expect(inVain).toEqual([expect.stringContaining('a limit for datastore "fast" that can never be met')]);
  const deep = await said(including('top', 'depth-3'));
  expect(deep[0]).toBe('5:5 in runbook both: "front" included at depth 5: top, depth-3, depth-2, depth-1, both');
});

test('two servers that claim one name or address are found over all that a runbook includes, in a rehearsal by network', async () => {
  const claiming = (name: string, server: string, more: string) =>
    text(name, `{ name: ${server}, ${more} }`, `limits: { atOnce: 2 }\n`);
  const imports = async (body: string) =>
    expect((await call('POST', '/runbooks', { body: { text: body } })).body.issues).toBeUndefined();
  const ip = (mode: string, address: string) => `addresses: [{ nic: 0, ${mode}: { ip: ${address}/24 } }]`;
  const both = (name: string) =>
    `format: 1\nname: ${name}\ntitle: Both\nincludes: [{ runbook: one }, { runbook: two }]\n`;
  const found = async (one: string, two: string) => {
    await imports(claiming('one', 'db01', one));
    await imports(claiming('two', 'app01', two));
    return said(both('one-and-two'));
  };
  expect(await found('machineName: same', 'machineName: same')).toEqual([
    '4:32 in runbook two: the machine name same at site dr for "app01", which "db01" in runbook one claims, too',
  ]);
  expect(await found(ip('recovery', '10.8.0.11'), ip('recovery', '10.8.0.11'))).toEqual([
    '4:32 in runbook two: the address 10.8.0.11 for "app01", which "db01" in runbook one claims, too',
  ]);
  expect(await found(ip('rehearsal', '10.8.0.11'), ip('rehearsal', '10.8.0.11'))).toEqual([
    '4:32 in a rehearsal: in runbook two: the address 10.8.0.11 for "app01", which "db01" in runbook one claims, too',
  ]);
  const lab = ', networks: { rehearsal: { lan: lab } }';
  expect(await found(ip('rehearsal', '10.8.0.11'), ip('rehearsal', '10.8.0.11') + lab)).toEqual([]);
  expect(await found(ip('recovery', '10.8.0.11'), ip('rehearsal', '10.8.0.11'))).toEqual([]);
});

test('what does not answer is said, and what can be checked is checked all the same', async () => {
  const away = withSite(() => Promise.reject(new Problem('no-worker', 'No worker of site "dr" answered in time')));
  const unknownNetwork = text('shop', '{ name: db01 }').replace('dr-lan', 'no-such-lan');
  expect((await check(unknownNetwork)).body).toMatchObject({ ok: false });
  expect((await check(unknownNetwork, away)).body).toMatchObject({
    ok: true,
    notChecked: ['networks and hardware of site dr: No worker of site "dr" answered in time'],
  });
  stack.postgres.cut();
  try {
    const circle = text('shop', '{ name: db01, after: [app01] }, { name: app01, after: [db01] }');
    const offline = await check(circle);
    expect(offline.body).toMatchObject({ ok: false, notChecked: [expect.stringContaining('servers, people, sites')] });
    const refused = await call('POST', '/runbooks', { body: { text: text('shop', '{ name: db01 }') } });
    expect(refused).toMatchObject({ status: 503, body: { detail: expect.stringContaining('Nothing was imported') } });
  } finally {
    stack.postgres.mend();
  }
});

test('a webhook that is not configured is told where it is imported, and keeps nobody from starting what is imported', async () => {
  const knowing = (...webhooks: string[]): Call =>
    caller({
      ...stack,
      deps: {
        ...stack.deps,
        temporal: { ...stack.deps.temporal, viewSite: () => Promise.resolve(lan) },
        config: { ...stack.deps.config, webhooks },
      },
    });
  const paged = text('paged', '{ name: db01 }', 'notify: [{ on: [stuck], webhooks: [pagr] }]\n');
  const found = { severity: 'error', line: 6, at: ['notify', 0, 'webhooks', 0], found: '"pagr"' };
  const { body } = await check(paged, knowing('pager'));
  expect(body).toMatchObject({ ok: false, notChecked: [], problems: [{ ...found, remedy: 'Is "pager" meant?' }] });
  const none = await check(paged, knowing());
  expect(none.body.problems).toMatchObject([{ ...found, needed: 'a webhook of the configuration: none' }]);
  expect(await knowing('pager')('POST', '/runbooks', { body: { text: paged } })).toMatchObject({ status: 422 });
  expect((await check(paged, knowing('pagr'))).body).toMatchObject({ ok: true, problems: [] });

  expect(await knowing('pagr')('POST', '/runbooks', { body: { text: paged } })).toMatchObject({ status: 201 });
  const started = await knowing('pager')('POST', '/runbooks/paged/runs', {
    body: { mode: 'recovery', reason: 'The site burns' },
    headers: { 'idempotency-key': 'paged-and-burning' },
  });
  expect([started.status, started.body.detail]).toEqual([201, undefined]);
});

test('a runbook of 5 MB is told that it is too long; other requests are held to their own limit', async () => {
  const long = await check(`# ${'x'.repeat(5_000_000)}\n`);
  expect(long).toMatchObject({ status: 200, body: { ok: false } });
  expect(long.body.problems).toMatchObject([
    {
      line: 1,
      column: 1,
      found: '5000003 characters',
      needed: `at most ${longestText}`,
      remedy: expect.stringContaining('include'),
    },
  ]);
  const far = await check('x'.repeat(9_000_000));
  expect(far).toMatchObject({ status: 413, body: { detail: expect.stringContaining(`${longestText} characters`) } });
  const other = await call('POST', '/servers', { body: { name: 'x'.repeat(300_000) } });
  expect(other).toMatchObject({ status: 413, body: { detail: expect.stringContaining('262144') } });
});

test('a long runbook, which is read in a thread of its own, is checked, imported and previewed like a short one', async () => {
  const comment = `# ${'x'.repeat(98)}\n`.repeat(200);
  const long = text('long', '{ name: db01 }') + comment;
  expect(long.length).toBeGreaterThan(readingLimits.atOnceCharacters);
  expect(await check(long)).toMatchObject({ status: 200, body: { ok: true, name: 'long', problems: [] } });
  expect(await call('POST', '/runbooks', { body: { text: long } })).toMatchObject({
    status: 201,
    body: { version: 1 },
  });
  const preview = await call('POST', '/runbooks/plan', { body: { text: long } });
  expect(preview).toMatchObject({ status: 200, body: { ok: true, plan: { runbooks: [{ path: ['long'] }] } } });
  const names = Array.from({ length: 500 }, (_, at) => `{ name: unknown-server-${at} }`);
  const { problems } = (await check(text('wrong', names.join(', ')))).body;
  // As many as anybody reads.
  expect(problems).toHaveLength(100);
  expect(problems[99]).toMatchObject({
    at: ['waves', 0, 'servers', 99, 'name'],
    found: expect.stringMatching(/unknown-server-99/),
  });
});

describe('a hostile text', () => {
  const bracket = '['.repeat(400_000);
  const quick = createReader({ ...readingLimits, longestMs: 1_500 });
  const small = createReader({ ...readingLimits, memoryMiB: 32 });
  const problemsOf = (reader: typeof quick, hostile: string) =>
    reader(hostile, ({ unreadable }) => Promise.resolve(unreadable.map(({ found }) => found)));

  test('is read beside everything else: the API goes on answering', async () => {
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${Array.from({ length: 2_000 }, (_, i) => `b${i}: [*a,*a,*a]\n`).join('')}`;
    let read = false;
    const reading = check(bomb).finally(() => (read = true));
    const others = [];
    for (let i = 0; i < 3; i += 1) others.push([(await call('GET', '/me')).status, read]);
    const answer = await reading;
    expect(others).toEqual([1, 2, 3].map(() => [200, false]));
    expect(answer.body.problems[0]).toMatchObject({ line: 2, found: 'the alias *a' });
  });

  test('that takes too long, or too much memory, ends as a problem', async () => {
    const keys = Array.from({ length: 60_000 }, (_, i) => `k${i}: 1\n`).join('');
    expect(await problemsOf(quick, keys)).toEqual(['a text that takes more than 1.5 s to read']);
    expect(await problemsOf(small, bracket)).toEqual(['a text that takes more than 32 MiB of memory to read']);
    expect(await problemsOf(small, '# short again')).toEqual(['nothing']);
  });
});

test('a schedule that Temporal does not take is said where the runbook is imported', async () => {
  const scheduled = text(
    'nightly',
    '{ name: db01 }',
    "rehearsal: { schedule: { cron: '0 3 * * 6', timezone: Europe/Berlin } }\n",
  );
  const viewSite = () => Promise.reject(new Error('nobody works there'));
  const importWith = (saveSchedule: ApiDeps['temporal']['saveSchedule']) => {
    const temporal = { ...stack.deps.temporal, saveSchedule, viewSite };
    return caller({ ...stack, deps: { ...stack.deps, temporal } })('POST', '/runbooks', { body: { text: scheduled } });
  };
  const refused = await importWith(() => Promise.reject(new Error('too many schedules')));
  expect(refused.status).toBe(201);
  expect(refused.body.notScheduled).toMatch(/does not take the schedule "0 3 \* \* 6" of nightly: too many schedules/);
  expect(await importWith(() => Promise.resolve())).toMatchObject({ status: 200, body: { notScheduled: null } });
});

describe('the preview', () => {
  const plan = (body: object) => call('POST', '/runbooks/plan', { body, token: stack.tokens.viewer });
  const shop = (more = '') =>
    text('preview', '{ name: db01 }, { name: app01, after: [db01], powerOn: decision }', more).replace(
      'all-of-preview',
      'data',
    );

  beforeAll(async () => {
    const server = (await stack.store.servers.find('db01'))!;
    for (let i = 0; i < 3; i += 1) {
      const order = makeOrder({ runId: uuidv7(), server });
      const { events } = succeededStory({
        ...order,
        target: { ...order.target, siteId },
        option: 'backup-and-recover',
      });
      const batch = { tenantId: 'main', coreId: 'main', runId: order.runId, parentRunId: null, flush: 1, events };
      await stack.store.journal.append(batch);
    }
  });

  test('shows waves with times from past runs, how sure they are, and who will be asked', async () => {
    const { status, body } = await plan({ text: shop() });
    expect([status, body.ok, body.problems]).toEqual([200, true, []]);
    const [runbook] = body.plan.runbooks;
    expect(runbook).toMatchObject({ path: ['preview'], version: 0, waves: [{ name: 'data' }] });
    const [db, app] = runbook.waves[0].servers;
    expect(db.expected).toMatchObject({ runs: 3, from: 'this server', sure: 'fairly' });
    expect(app.expected).toMatchObject({ runs: 3, from: 'servers of similar size', sure: 'hardly' });
    expect(app.startsMs).toBe(db.expected.medianMs);
    // None of those was destructive: what is rehearsed says how long the day takes.
    const destructive = await plan({ text: shop().replace('{ hardware:', '{ option: destructive, hardware:') });
    expect(destructive.body.plan.runbooks[0].waves[0].servers[0].expected).toEqual(db.expected);
    expect(app.because).toEqual({ kind: 'after', name: 'db01' });
    expect(body.plan.asks.map(({ kind, of }: { kind: string; of: string }) => [kind, of])).toEqual([
      ['power-on', 'app01'],
      ['commit', null],
    ]);
  });

  test('of an imported runbook names its version and pins what it includes', async () => {
    const parts = text('parts', '{ name: web01 }');
    const whole = 'format: 1\nname: whole\ntitle: Whole\nincludes: [{ runbook: parts }]\n';
    for (const one of [parts, `${parts}# later\n`, whole]) await call('POST', '/runbooks', { body: { text: one } });
    const { body } = await plan({ name: 'whole', mode: 'rehearsal' });
    const sha256 = createHash('sha256').update(`${parts}# later\n`).digest('hex');
    expect(body.plan).toMatchObject({
      mode: 'rehearsal',
      runbooks: [
        { path: ['whole'], version: 1 },
        { path: ['whole', 'parts'], version: 2, sha256 },
      ],
    });
    expect(await plan({ name: 'nothing' })).toMatchObject({ status: 404 });
    expect(await plan({ name: 'whole', text: whole })).toMatchObject({ status: 400 });
    expect((await plan({ text: 'format: 2' })).body).toMatchObject({ ok: false, plan: null });
  });

  test('an objective that past runs show to be out of reach is a warning, and no reason not to import', async () => {
    const hasty = shop('objectives: { rto: 1s }\n');
    const { body } = await check(hasty);
    expect(body).toMatchObject({ ok: true, problems: [{ severity: 'warning', at: ['objectives', 'rto'], line: 6 }] });
    const imported = await call('POST', '/runbooks', { body: { text: hasty } });
    expect(imported).toMatchObject({ status: 201, body: { warnings: [{ severity: 'warning' }] } });

    const strict = await check(shop('objectives: { rto: 9h,\n  rpo: 1s }\n'));
    expect(strict.body).toMatchObject({
      ok: true,
      problems: [{ severity: 'warning', at: ['objectives', 'rpo'], line: 7, column: 3 }],
    });
    expect(strict.body.problems[0].found).toMatch(/an RPO of 1\.0 s, and at least 3\.7 s between the recovery/);
  });
});

test('a runbook for leaving a site is written from all that are imported, and says later what was forgotten', async () => {
  const site = storyServer.source.siteId;
  for (const [name, server, tier] of [
    ['leave-late', 'web01', 5],
    ['leave-first', 'db01', 1],
  ] as const) {
    const body = { text: text(name, `{ name: ${server} }`, `tier: ${tier}\n`) };
    expect((await call('POST', '/runbooks', { body })).status).toBe(201);
  }
  const answer = await call('GET', `/sites/${site}/evacuation`, { token: stack.tokens.viewer });
  expect(answer).toMatchObject({ status: 200, body: { site, unreadable: [] } });
  const written = parse(answer.body.text);
  const includes: { runbook: string; after?: string[] }[] = written.includes;
  expect(written).toMatchObject({ format: 1, tier: 1, evacuates: site });
  const at = (name: string) => includes.findIndex(({ runbook }) => runbook === name);
  expect(at('leave-first')).toBe(0);
  expect(includes[at('leave-late')]!.after).not.toContain('leave-late');
  expect(at('leave-late')).toBe(includes.length - 1);

  const less = answer.body.text.replace(/ {2}- runbook: leave-late\n(?: {4}.*\n)*/, '');
  expect(less).not.toContain('leave-late');
  const checked = (await check(less)).body.problems;
  expect(checked).toContainEqual(
    expect.objectContaining({
      ...{ severity: 'warning', at: ['evacuates'] },
      found: `runbook "leave-late" (tier 5) of site ${site} is not included`,
    }),
  );
  expect(checked[0].line).toBe(1 + less.split('\n').findIndex((line: string) => line.startsWith('evacuates:')));
  expect((await call('GET', '/sites/nowhere/evacuation')).status).toBe(404);
});

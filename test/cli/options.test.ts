/** Where options may stand, and which run is meant: seen by an API that only notes what it is asked. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { version } from '../../stack/version';
import { longestLine, muster } from './muster';

const plan = '0195923c-70b4-7c31-9a55-3f2e8d10c7aa';
const child = '0195923d-0000-7c31-9a55-000000000001';
const base = { runbooks: ['shop'], sites: ['dr'], told: [], claimedBy: null, half: null, gate: null, approvals: null };
const waiting = {
  ...{
    ...base,
    runId: child,
    serverName: 'app01',
    mode: 'recovery',
    tier: 1,
    kind: 'stuck',
    undo: false,
    waitingMs: 1000,
  },
  ...{ step: 'preflight', item: null, epoch: 1, cause: 'no space', remedy: 'Make room.', allowed: ['retry', 'abort'] },
};
/** A plan that includes two runbooks, and one of these another. */
const runOf = (n: number): string => `0195923d-0000-7c31-9a55-00000000000${n}`;
const part = (name: string, n: number, servers: object[], parts: object[] = []) => ({
  ...{ name, runId: runOf(n), state: 'running', servers, parts },
});
const evacuation = {
  waves: [{ servers: [{ name: 'app01', runId: child }] }],
  parts: [
    part('network', 2, [{ name: 'dns01', runId: runOf(3) }], [part('edge', 4, [{ name: 'fw01', runId: runOf(5) }])]),
    {
      ...part('mail', 6, [
        { name: 'dns01', runId: runOf(7) },
        { name: 'mx01', runId: null },
      ]),
      state: null,
    },
  ],
};
interface Asked {
  readonly method: string;
  readonly url: string;
  readonly body: string;
}
let api: Server;
let url: string;
let postgresAway = false;
const asked: Asked[] = [];

beforeAll(async () => {
  api = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const one = { method: request.method!, url: request.url!, body: Buffer.concat(parts).toString() };
      asked.push(one);
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(answerTo(one)));
    });
  }).listen(0, '127.0.0.1');
  await once(api, 'listening');
  url = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
});
afterAll(() => api.close());

function answerTo({ method, url: at }: Asked): object {
  const { pathname, searchParams } = new URL(at, url);
  if (pathname.endsWith('/runbooks/shop/runs')) {
    const runbook = { name: 'shop', version: 3, sha256: 'a'.repeat(64) };
    return { runId: plan, runbook, servers: 1, seenBefore: false, notices: [] };
  }
  if (pathname.endsWith('/stuck')) {
    const seen = postgresAway
      ? { source: 'live', notice: 'Postgres does not answer.' }
      : { source: 'store', notice: null };
    return { items: [waiting], total: 1, ...seen };
  }
  const server = searchParams.get('server');
  if (server !== null && server !== 'app01') return { items: [] };
  if (pathname.endsWith(`/runs/${plan}`)) return { kind: 'plan', view: evacuation };
  // A plan is older than the runs of its servers.
  if (method === 'GET') return { items: [{ runId: searchParams.get('top') === 'true' ? plan : child }] };
  return { act: 'commit', step: null, state: 'accepted', by: 'Ines', message: null, requestId: 'r' };
}

const env = (): Record<string, string> => ({ MUSTER_URL: url, MUSTER_TOKEN: 'mst_of-a-test' });
const last = (fits: (one: Asked) => boolean): Asked | undefined => asked.filter(fits).at(-1);

test('a version of a runbook is no question for the version of Muster', async () => {
  const ran = await muster(
    ['run', 'shop', '--version', '3', '--mode', 'recovery', '--reason', 'as the test says'],
    env(),
  );
  expect(ran).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('shop (version 3)') });
  const started = last(({ method, url: at }) => method === 'POST' && at.endsWith('/runbooks/shop/runs'));
  expect(JSON.parse(started!.body)).toMatchObject({ version: 3, mode: 'recovery' });
  expect(await muster(['--version'])).toMatchObject({ exitCode: 0, stdout: version });
  expect((await muster(['stuck', '--version'], env())).exitCode).toBe(2);
});

test('where the API is, and that JSON is wanted, may be said before a command, between its words and after it', async () => {
  const token = { MUSTER_TOKEN: 'mst_of-a-test' };
  const orders = [
    ['--url', url, '--json', 'stuck', '--mine'],
    ['stuck', '--mine', '--url', url, '--json'],
    ['--json', 'stuck', '--url', url, '--mine'],
  ];
  for (const { exitCode, stdout } of await Promise.all(orders.map((args) => muster(args, token))))
    expect([exitCode, JSON.parse(stdout).total]).toEqual([0, 1]);
  const between = await muster(['token', '--json', 'list', '--url', url], token);
  expect([between.exitCode, JSON.parse(between.stdout).length]).toEqual([0, 1]);
});

test('the last run is the newest that belongs to no plan', async () => {
  const ran = await muster(['commit', 'last', '--step', 'commit', '--reason', 'The shop sells'], env());
  expect(ran.exitCode).toBe(0);
  expect(last(({ method }) => method === 'POST')?.url).toBe(`/api/v1/runs/${plan}/decisions`);
});

test.each([
  ['app01', child],
  ['network', runOf(2)],
  ['network/dns01', runOf(3)],
  ['edge', runOf(4)],
  ['network/edge/fw01', runOf(5)],
  ['fw01', runOf(5)],
])('PLAN/%s is the run of that server, or of that included runbook', async (path, run) => {
  const ran = await muster(['retry', `${plan}/${path}`, '--step', 'preflight', '--reason', 'Space was made'], env());
  expect(ran).toMatchObject({ exitCode: 0 });
  expect(last(({ method }) => method === 'POST')?.url).toBe(`/api/v1/runs/${run}/decisions`);
});

test.each([
  ['dns01', 2, /network\/dns01, mail\/dns01/],
  ['mail', 5, /no run of mail yet/],
  ['edge/dns01', 5, /neither a server nor an included runbook edge\/dns01/],
])('PLAN/%s is no run, and that is said', async (path, exitCode, words) => {
  expect(await muster(['show', `${plan}/${path}`], env())).toMatchObject({
    ...{ exitCode, stderr: expect.stringMatching(words) },
  });
});

test.each(['retry', 'skip', 'claim', 'release'])('%s with a blank reason asks the API for nothing', async (verb) => {
  const before = asked.length;
  const ran = await muster([verb, child, '--step', 'preflight', '--reason', ' '], env());
  expect(ran).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('A reason is missing') });
  expect(asked.slice(before)).toEqual([]);
});

test('a claim and a release explain themselves', async () => {
  for (const [verb, reason] of [
    ['claim', 'Looks after it.'],
    ['release', 'Leaves it to others.'],
  ] as const) {
    expect((await muster([verb, child, '--step', 'preflight'], env())).exitCode).toBe(0);
    expect(JSON.parse(last(({ method }) => method === 'POST')!.body)).toMatchObject({ decision: verb, reason });
  }
});

test('with Postgres away what is printed to be typed has whole ids, which need no list', async () => {
  const usual = (await muster(['stuck'], env())).stdout;
  expect(usual).toContain(`muster retry ${child.slice(-8)} --step preflight`);
  postgresAway = true;
  const { stdout } = await muster(['stuck'], env());
  const commands = stdout.replace(/ \\\n/g, ' ').replace(/\s+/g, ' ');
  expect(commands).toContain(`muster retry ${child} --step preflight --reason`);
  expect(commands).toContain(`muster abort ${child} --reason`);
  expect(longestLine(stdout)).toBeLessThanOrEqual(80);
});

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
}, 60_000);

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
}, 60_000);

test('the last run is the newest that belongs to no plan', async () => {
  const ran = await muster(['commit', 'last', '--step', 'commit', '--reason', 'The shop sells'], env());
  expect(ran.exitCode).toBe(0);
  expect(last(({ method }) => method === 'POST')?.url).toBe(`/api/v1/runs/${plan}/decisions`);
}, 60_000);

test('with Postgres away what is printed to be typed has whole ids, which need no list', async () => {
  const usual = (await muster(['stuck'], env())).stdout;
  expect(usual).toContain(`muster retry ${child.slice(-8)} --step preflight`);
  postgresAway = true;
  const { stdout } = await muster(['stuck'], env());
  const commands = stdout.replace(/ \\\n/g, ' ').replace(/\s+/g, ' ');
  expect(commands).toContain(`muster retry ${child} --step preflight --reason`);
  expect(commands).toContain(`muster abort ${child} --reason`);
  expect(longestLine(stdout)).toBeLessThanOrEqual(80);
}, 60_000);

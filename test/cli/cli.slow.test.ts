/** The `muster` program from the outside, against a served API with everything real behind it. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serveApi, type ServedApi } from '../../api/server';
import { freePort } from '../../stack/ports';
import { caller, openTestStack, recoveryTools, siteId, type RecoveryTools, type TestStack } from '../api/stack';
import { longestLine, muster, type Ran } from './muster';

let stack: TestStack;
let served: ServedApi;
let tools: RecoveryTools;
let folder: string;

beforeAll(async () => {
  stack = await openTestStack();
  served = await serveApi(stack.deps, { host: '127.0.0.1', port: 0 });
  tools = recoveryTools(stack, caller(stack));
  folder = await mkdtemp(join(tmpdir(), 'muster-cli-'));
  await stack.startWorkers();
});
afterAll(async () => {
  await served?.stop();
  await stack?.close();
  await rm(folder, { recursive: true, force: true });
});

const run = (...args: string[]): Promise<Ran> =>
  muster(args, { MUSTER_URL: served.url, MUSTER_TOKEN: stack.tokens.admin });
const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';

test('a server is added, protected, recovered, watched and reported, and every table fits 80 columns', async () => {
  await stack.seed('app01');
  const where = ['--source-site', siteId, '--site', siteId];
  const goals = ['--rpo', '15s', '--rto', '10m', '--point-every', '1s'];
  const added = await run(
    'servers',
    'add',
    'app01',
    ...where,
    ...goals,
    '--probe',
    'counter=/usr/local/bin/counter-status',
  );
  expect(added).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('muster protect app01') });
  expect(added.stdout).toContain('counter: /usr/local/bin/counter-status');
  expect(await run('protect', 'app01')).toMatchObject({
    exitCode: 0,
    stdout: expect.stringMatching(/^app01: protected/),
  });
  await tools.firstPoint('app01');
  const hardware = ['--hardware', 'vmware-pvscsi', '--network', 'lan=nowhere', '--stable-for', '100ms'];
  const started = await run('recover', 'app01', ...hardware, '--reason', 'Site A lost power', '--json');
  const { runId } = JSON.parse(started.stdout) as { runId: string };
  const watched = await run('watch', runId, '--stop-when-waiting');
  expect(watched.exitCode).toBe(8);
  expect(watched.stdout).toContain('muster retry');
  const shown = await run('show', runId.slice(-8));
  expect(shown.stdout).toContain('Stuck at preflight');
  const list = await run('runs');
  const replicas = await run('replicas', 'app01');
  const servers = await run('servers');
  for (const { stdout } of [watched, shown, list, replicas, servers, added])
    expect(longestLine(stdout)).toBeLessThanOrEqual(80);
  const fixed = await run('provide', 'last', '--set', 'networks=lan=lan', '--reason', 'Mapped it');
  expect(fixed).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('Accepted: provide at preflight') });
  await tools.inState(runId, 'waiting');
  expect((await run('approve', runId, '--reason', 'It is cut off')).exitCode).toBe(0);
  const ended = await run('watch', runId);
  expect(ended).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('■ succeeded') });
  expect(ended.stdout).toMatch(/^RTO /m);
  // The lists that the next tests read are of the journal, which follows the run a moment later.
  await tools.closed(runId);
  const file = join(folder, 'report.html');
  expect((await run('report', runId, '--output', file)).exitCode).toBe(0);
  expect(await readFile(file, 'utf8')).toContain('<html');
  const json = await run('report', runId, '--json');
  expect(JSON.parse(json.stdout)).toMatchObject({ runId, state: 'succeeded' });
}, 120_000);

test('every list is JSON with --json', async () => {
  const answers = await Promise.all([
    run('servers', '--json'),
    run('replicas', '--json'),
    run('runs', '--json'),
    run('token', 'list', '--json'),
    run('show', 'last', '--json'),
    run('--json', 'servers', 'show', 'app01'),
  ]);
  for (const { exitCode, stdout } of answers) expect([exitCode, typeof JSON.parse(stdout)]).toEqual([0, 'object']);
});

test('names and ids are offered to the shell as the API has them', async () => {
  expect(await run('__complete', 'servers')).toMatchObject({ exitCode: 0, stdout: `app01\trecovers to ${siteId}` });
  expect((await run('__complete', 'runs')).stdout).toMatch(/^last\tthe newest run\n[0-9a-f-]{36}\tapp01 succeeded/);
});

test('a mistake is one line without a stack trace, under its own exit code', async () => {
  const recover = ['recover', 'app01', '--hardware', 'vmware-pvscsi'];
  const mistakes: [string[], number, RegExp][] = [
    [recover, 2, /reason is missing.*--reason/],
    [['recover', 'app01', '--hardware', 'toaster', '--reason', 'x'], 2, /toaster.*Allowed choices/],
    [['protect', 'app01', '--pause'], 2, /reason is missing/],
    [['protect', 'ap01'], 5, /Perhaps you meant app01/],
    [['show', 'ffffffff'], 5, /no run "ffffffff"/],
    [['show', 'ff'], 2, /too short/],
    [
      ['retry', 'last', '--reason', 'x'],
      3,
      /does not wait.*succeeded\. .+ decided approve at power-on, 20\S+Z: It is cut off/,
    ],
    [['retry', 'last', '--step', 'x', '--reason', 'x'], 3, /is closed/],
    [['servers', 'add', 'a b', '--source-site', 'dr', '--site', 'dr', '--rpo', '1s', '--rto', '1m'], 2, /body\.name/],
    [['servers', 'add', 'x', '--source-site', 'dr', '--site', 'dr', '--rpo', 'soon', '--rto', '1m'], 2, /"soon"/],
    [['recoverr', 'app01'], 2, /Did you mean recover/],
    [['token', 'revoke', 'none-such'], 5, /no token/],
  ];
  const answers = await Promise.all(mistakes.map(([args]) => run(...args)));
  for (const [i, [args, exitCode, message]] of mistakes.entries()) {
    const { stderr, ...answer } = answers[i]!;
    expect([args.join(' '), answer.exitCode]).toEqual([args.join(' '), exitCode]);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at /m);
  }
}, 120_000);

test('a missing, wrong or weak token and an API that is not there have their own exit codes', async () => {
  const url = { MUSTER_URL: served.url };
  const [none, wrong, weak, away, nonsense, file] = await Promise.all([
    muster(['runs'], url),
    muster(['runs'], { ...url, MUSTER_TOKEN: 'mst_wrong' }),
    muster(['token', 'list'], { ...url, MUSTER_TOKEN: stack.tokens.viewer }),
    muster(['runs'], { MUSTER_URL: `http://127.0.0.1:${await freePort()}`, MUSTER_TOKEN: 'x' }),
    muster(['runs', '--url', 'elsewhere'], { MUSTER_TOKEN: 'x' }),
    muster(['runs', '--json'], { ...url, MUSTER_TOKEN_FILE: '/nonexistent/token' }),
  ]);
  expect(none).toMatchObject({ exitCode: 6, stderr: expect.stringContaining('MUSTER_TOKEN') });
  expect(wrong).toMatchObject({ exitCode: 6, stderr: expect.stringContaining('unknown, expired or revoked') });
  expect(weak).toMatchObject({ exitCode: 6, stderr: expect.stringContaining('viewer') });
  expect(away).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('ECONNREFUSED') });
  expect(nonsense).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('http://HOST:PORT') });
  expect(JSON.parse(lastLine(file.stderr))).toMatchObject({ exitCode: 6 });
});

test('a token is issued to standard output alone and works', async () => {
  const issued = await run('token', 'issue', 'Ines Okafor', '--role', 'operator');
  expect(issued.stdout.trim()).toMatch(/^mst_\S+$/);
  const used = await muster(['runs'], { MUSTER_URL: served.url, MUSTER_TOKEN: issued.stdout.trim() });
  expect(used.exitCode).toBe(0);
});

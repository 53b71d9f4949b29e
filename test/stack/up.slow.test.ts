/** The whole stack as real processes: what a newcomer starts, what a power cut leaves, what must be gone afterwards. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { examine } from '../../stack/doctor/doctor';
import { freePort } from '../../stack/ports';
import { startMuster } from '../cli/muster';
import { badNames, readMetrics, valueOf } from '../support/prometheus';
import {
  killProcessesOf,
  processesOf,
  stackHome,
  startStackProcess,
  type StackHome,
  type StackProcess,
} from '../support/stack-process';
import { readRegister } from '../../stack/leftovers';
import { readWorkerStatus } from '../../stack/worker-status';

let home: StackHome;
let stack: StackProcess | undefined;

beforeAll(async () => {
  home = await stackHome();
  home.env['MUSTER_METRICS_WORKER_ADDRESS'] = `127.0.0.1:${await freePort()}`;
  home.env['MUSTER_METRICS_TEMPORAL_ADDRESS'] = `127.0.0.1:${await freePort()}`;
});

afterAll(() => {
  stack?.child.kill('SIGKILL');
  killProcessesOf(home);
  home.remove();
});

const file = (name: string): string => join(home.dataFolder, name);
const token = (): string => readFileSync(file('admin-token'), 'utf8').trim();
const get = (path: string, bearer: string): Promise<Response> =>
  fetch(`http://127.0.0.1:${home.apiPort}/api/v1${path}`, { headers: { authorization: `Bearer ${bearer}` } });

test('up starts everything, and the token in the file opens the API', async () => {
  stack = startStackProcess(home);
  await stack.prints(`Muster runs at http://127.0.0.1:${home.apiPort}`);
  expect(stack.output()).toContain(file('admin-token'));
  const health = (await (await get('/health', token())).json()) as { ok: boolean };
  expect(health).toMatchObject({ ok: true });
  expect((await get('/servers', token())).status).toBe(200);
  expect((await get('/servers', 'not-a-token')).status).toBe(401);
});

test('a runbook is checked against the webhooks of the configuration', async () => {
  const env = { MUSTER_URL: `http://127.0.0.1:${home.apiPort}`, MUSTER_TOKEN: token() };
  const checking = startMuster(['--json', 'runbook', 'check', '-'], env);
  checking.stdin?.end('format: 1\nname: a\ntitle: A\nnotify: [{ on: [stuck], webhooks: [chat] }]\n');
  const { stdout, exitCode } = await checking;
  const unknown = { found: '"chat"', needed: 'a webhook of the configuration: none' };
  expect([JSON.parse(stdout).problems, exitCode]).toMatchObject([[unknown], 3]);
});

test('files with secrets can be read by their owner only', () => {
  for (const name of ['admin-token', 'postgres-password', 'postgres-url']) {
    expect([name, (statSync(file(name)).mode & 0o777).toString(8)]).toEqual([name, '600']);
  }
});

test('no command line shows a password', () => {
  const password = readFileSync(file('postgres-password'), 'utf8').trim();
  const commands = processesOf(home).map(({ command }) => command);
  expect(commands.length).toBeGreaterThan(4);
  expect(commands.filter((command) => command.includes(password) || command.includes(token()))).toEqual([]);
});

test('doctor has nothing against a stack that runs, and every clock is right', async () => {
  const { checks, notAsked } = await examine({ env: home.env });
  expect(checks.filter(({ state, id }) => state !== 'ok' && !id.startsWith('space.'))).toEqual([]);
  expect(notAsked).toEqual([]);
  const ids = checks.map(({ id }) => id);
  const queues = ['muster', 'journal', 'site:recovery', 'site:recovery:replication'].map(
    (name) => `worker.queue.${name}`,
  );
  const clocks = ['postgres', 'temporal', 'api', 'worker'].map((name) => `clock.${name}`);
  expect(ids).toEqual(expect.arrayContaining([...queues, ...clocks, 'postgres.rights', 'api.connection']));
});

test("metrics of the API are behind its token; the worker's and those of Temporal's SDK are where they were asked for", async () => {
  const page = async (address: string | undefined) => (await fetch(`http://${address}/metrics`)).text();
  const ofWorker = readMetrics(await page(home.env['MUSTER_METRICS_WORKER_ADDRESS']));
  expect(valueOf(ofWorker, 'muster_build_info')).toBe(1);
  expect(valueOf(ofWorker, 'process_start_time_seconds')).toBeGreaterThan(0);
  expect(badNames(ofWorker.filter(({ name }) => name.startsWith('muster_')))).toEqual([]);
  expect(await page(home.env['MUSTER_METRICS_TEMPORAL_ADDRESS'])).toContain('temporal_worker_task_slots_available');
  expect((await get('/metrics', 'not-a-token')).status).toBe(401);
  const ofApi = readMetrics(await (await get('/metrics', token())).text());
  expect(valueOf(ofApi, 'muster_up', { part: 'worker site:recovery' })).toBe(1);
});

test('every line of worker and API is JSON that says which process wrote it, and none has the token or the password', () => {
  const secrets = [token(), readFileSync(file('postgres-password'), 'utf8').trim()];
  for (const name of ['worker', 'api']) {
    const text = readFileSync(file(`logs/${name}.log`), 'utf8');
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    for (const line of lines)
      expect(line).toMatchObject({ process: name, level: expect.any(String), time: expect.any(String) });
    for (const secret of secrets) expect(text).not.toContain(secret);
  }
});

test('a second up on the same folder is refused and says who runs', async () => {
  const second = startStackProcess(home);
  expect(await second.ended).toBe(13);
  expect(second.output()).toContain(`found process ${stack!.child.pid}`);
});

test('a worker that is killed is started again', async () => {
  const before = (await readWorkerStatus(file('worker.json')))!;
  process.kill(before.pid, 'SIGKILL');
  await stack!.prints('the worker runs again.');
  expect(stack!.output()).toContain('the worker stopped: it was ended by SIGKILL.');
  const after = (await readWorkerStatus(file('worker.json')))!;
  expect(after.state).toBe('polling');
  expect(after.pid).not.toBe(before.pid);
});

test('after kill -9 of up, nothing of it goes on, and up works again on the same data', async () => {
  const tokenBefore = token();
  const parts = (await readRegister(file('parts.json')))!.parts.map(({ pid }) => pid);
  expect(parts).toHaveLength(4);
  stack!.child.kill('SIGKILL');
  await stack!.ended;
  stack = startStackProcess(home);
  await stack.prints('Muster runs at');
  const running = processesOf(home).map(({ pid }) => pid);
  expect(running.filter((pid) => parts.includes(pid))).toEqual([]);
  expect(token()).toBe(tokenBefore);
  expect((await get('/servers', tokenBefore)).status).toBe(200);
});

test('a stale postmaster.pid with the number of a living program does not keep Postgres from starting', async () => {
  killProcessesOf(home);
  await stack!.ended;
  const pidFile = file('postgres/cluster/postmaster.pid');
  const lines = readFileSync(pidFile, 'utf8').split('\n');
  writeFileSync(pidFile, [String(process.pid), ...lines.slice(1)].join('\n'));
  stack = startStackProcess(home);
  await stack.prints('Muster runs at');
  expect((await get('/servers', token())).status).toBe(200);
});

test('SIGTERM stops it with code 0 and leaves no process', async () => {
  stack!.child.kill('SIGTERM');
  expect(await stack!.ended).toBe(0);
  expect(stack!.output()).toMatch(/SIGTERM: stopping\.\nStopped\.\n$/);
  expect(processesOf(home)).toEqual([]);
});

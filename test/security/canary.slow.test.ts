/**
 * Secrets stand where they were put and nowhere else: a night with a canary in every place that takes a secret, searched
 * for afterwards, in every form, in everything that was written or shown.
 */
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { Client as Postgres } from 'pg';
import { muster, type Ran } from '../cli/muster';
import { formsOf, searchFor, type Search } from './support/canaries';
import { compressedIn } from './support/payloads';
import { openNight, protect, push, until, type Night } from './support/night';
import { watchProcesses } from './support/processes';

jest.setTimeout(300_000);

let night: Night;
let search: Search;
const historyBytes: Buffer[] = [];
const shown: string[] = [];

/** Where each secret lives; each with mode 0600. */
const homes = ['admin-token', 'postgres-password', 'postgres-url', 'secrets/locked-disk', 'secrets/bmc'];

beforeAll(async () => {
  night = await openNight();
  search = searchFor(night.canaries);
});
afterAll(() => night?.home.remove());

const note = (place: string, text: string): void => {
  shown.push(place);
  search.in(place, text);
};

async function cli(place: string, args: string[], env: Record<string, string> = {}): Promise<Ran> {
  const url = `http://127.0.0.1:${night.home.apiPort}`;
  const token = night.canary('admin token');
  const all = { MUSTER_URL: url, MUSTER_TOKEN: token, MUSTER_LOG_LEVEL: 'debug', ...env };
  const ran = await muster(args, all);
  note(`output of ${place}`, ran.stdout + ran.stderr);
  return ran;
}

/**
 * What the worker needs is in its environment, in that of `up` that starts it, and in that of the compiler that tsx puts
 * beside both before a line of Muster runs; the command line has its token only.
 */
const mayHave = (command: string): boolean => /entry\.ts (up|worker)|bin\/muster |bin\/esbuild --service/.test(command);

test('the search finds a canary in every form that it looks for', () => {
  const value = night.canary('unlock key in a file');
  const forms = formsOf(value);
  expect(forms.size).toBeGreaterThan(12);
  const texts = [
    value,
    JSON.stringify({ a: { b: value } }),
    JSON.stringify(JSON.stringify({ value })),
    `x=${encodeURIComponent(value)}&y`,
    `${Buffer.from(value).toString('hex')}00`,
    ...['', 'a', 'ab', 'abc'].map((before) => Buffer.from(`${before}${value}:after`).toString('base64')),
    Buffer.from(`user:${value}`).toString('base64url'),
  ];
  for (const text of texts) {
    const control = searchFor(night.canaries);
    control.in('control', `before ${text} after`);
    expect([text, control.found.map(({ canary }) => canary)]).toEqual([
      text,
      expect.arrayContaining(['unlock key in a file']),
    ]);
  }
  const clean = searchFor(night.canaries);
  clean.in('control', 'nothing of that');
  expect(clean.found).toEqual([]);
});

test('a night: recoveries that succeed, fail and are aborted, requests with secrets in the wrong place, wrong commands', async () => {
  const watch = watchProcesses(search, mayHave);
  try {
    await protect(night, 'app01', ['file:locked-disk', 'environment:MUSTER_SECRET_DISK']);
    const first = await push(night, 'app01');
    await until(night, first, 'succeeded');
    const failing = await push(night, 'app01', { networks: { lan: 'nowhere' } });
    await until(night, failing, 'stuck');
    await secretsInWrongPlaces(failing);
    expect(await night.call('POST', `/runs/${failing}/abort`, { body: { reason: 'Seen' } })).toMatchObject({
      status: 200,
    });
    await until(night, failing, 'aborted');
    await onIron();
    await commands(first);
    for (const runId of [first, failing]) {
      for (const format of ['html', 'json'])
        note(`${format} report`, (await night.call('GET', `/runs/${runId}/report?format=${format}`)).text);
      note('run', (await night.call('GET', `/runs/${runId}`)).text);
    }
    for (const path of ['/health', '/metrics', '/openapi.json', '/servers', '/tokens', '/replicas'])
      note(`answer of ${path}`, (await night.call('GET', path)).text);
  } finally {
    watch.stop();
  }
  expect(watch.rounds).toBeGreaterThan(10);
  expect(search.found).toEqual([]);
});

/** A person who pastes a secret where it does not belong. Reasons are left out: what a person writes there is theirs to answer for. */
async function secretsInWrongPlaces(runId: string): Promise<void> {
  const issued = await night.call('POST', '/tokens', { body: { name: 'mallory', role: 'viewer' } });
  const viewer = issued.body.token as string;
  search.add({ name: 'token of a viewer', value: viewer });
  const secrets = night.canaries.map(({ value }) => encodeURIComponent(value));
  for (const secret of secrets) {
    await night.call('GET', `/runs?token=${secret}&limit=${secret}`);
    await night.call('GET', `/runs/${runId}?access_token=${secret}`, { headers: { authorization: '' } });
  }
  const key = night.canary('unlock key in a file');
  const refused = [
    await night.call('POST', '/servers', { body: { name: 'x', token: viewer, unlockKeys: [key] } }),
    await night.call('POST', `/runs/${runId}/decisions`, {
      body: { step: 'preflight', decision: 'provide', reason: 'r', input: { unlockKeys: [key] } },
    }),
    await night.call('POST', '/recoveries', { body: `{"server":"app01","reason":"r","token":"${viewer}` }),
    await night.call('POST', '/servers/app01/protection', { headers: { authorization: `Bearer ${viewer}` } }),
    await night.call('GET', '/servers', {
      headers: { authorization: `Basic ${Buffer.from(`a:${viewer}`).toString('base64')}` },
    }),
  ];
  expect(refused.map(({ status }) => status)).toEqual([400, 400, 400, 403, 401]);
}

/** A recovery onto a machine behind a Redfish controller. */
async function onIron(): Promise<void> {
  await protect(night, 'app02', []);
  const runId = await push(night, 'app02', { hardware: 'physical-ahci', machineName: 'rack-7' });
  await until(night, runId, 'succeeded');
  // The password was used: the controller answers to nobody else.
  expect(night.redfish.requests).toContainEqual(expect.stringMatching(/^POST .*Reset On$/));
  note('report of a physical machine', (await night.call('GET', `/runs/${runId}/report?format=html`)).text);
}

async function commands(runId: string): Promise<void> {
  const wrong = join(mkdtempSync(join(tmpdir(), 'muster-canary-')), 'muster.yaml');
  const key = night.canary('unlock key in a file');
  const redfish = { url: 'http://127.0.0.1:1', systemId: '1', user: 'muster', password: key };
  const machine = { name: 'r', hardware: 'physical-ahci', power: { redfish } };
  writeFileSync(wrong, JSON.stringify({ sites: [{ id: 'recovery', kind: 'simulated', machines: [machine] }] }));
  const viewer = { MUSTER_TOKEN: `${night.canary('admin token')}x` };
  const postgres = `postgres://muster:${encodeURIComponent(key)}@127.0.0.1:1/muster`;
  const codes = [
    await cli('show', ['show', runId]),
    await cli('nobody there', ['servers', '--url', 'http://127.0.0.1:1']),
    await cli('a wrong token', ['servers'], viewer),
    await cli('a command that is none', ['servrs', 'x']),
    await cli('a wrong configuration', ['up'], { MUSTER_CONFIG: wrong, MUSTER_POSTGRES_URL: postgres }),
    await cli('doctor', ['doctor', '--json'], { ...(night.home.env as Record<string, string>) }),
  ].map(({ exitCode }) => exitCode);
  expect(codes[0]).toBe(0);
  expect(codes.slice(1, 5).every((code) => code > 0)).toBe(true);
  rmSync(join(wrong, '..'), { recursive: true });
}

test('histories, as they are kept and as they are read', async () => {
  const connection = await Connection.connect({ address: `127.0.0.1:${night.home.env['MUSTER_TEMPORAL_PORT']}` });
  const client = new Client({ connection, namespace: 'muster' });
  let workflows = 0;
  try {
    for await (const { workflowId, runId, memo, searchAttributes } of client.workflow.list()) {
      workflows++;
      const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
      const plain = temporal.api.history.v1.History.encode(history).finish();
      const bytes = Buffer.concat([plain, ...compressedIn(history)]);
      search.in(`history of ${workflowId}`, bytes);
      search.in(`memo of ${workflowId}`, JSON.stringify({ memo, searchAttributes }));
      // References do travel, so what is read is what would have held the secret.
      if (workflowId.includes('session') === false) historyBytes.push(bytes);
    }
  } finally {
    await connection.close();
  }
  expect(workflows).toBeGreaterThanOrEqual(4);
  expect(Buffer.concat(historyBytes).includes('MUSTER_SECRET_DISK')).toBe(true);
  expect(search.found).toEqual([]);
});

test('every row of every table', async () => {
  const url = readFileSync(join(night.home.dataFolder, 'postgres-url'), 'utf8').trim();
  const postgres = new Postgres({ connectionString: url });
  await postgres.connect();
  let rows = 0;
  try {
    const { rows: tables } = await postgres.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`,
    );
    expect(tables.length).toBeGreaterThan(5);
    for (const { name } of tables) {
      const { rows: lines } = await postgres.query<{ line: string }>(`select t::text as line from ${name} t`);
      for (const { line } of lines) search.in(`table ${name}`, line);
      rows += lines.length;
    }
  } finally {
    await postgres.end();
  }
  expect(rows).toBeGreaterThan(50);
  expect(search.found).toEqual([]);
});

test('every file of the data folder: Temporal and Postgres as they lie on disk, logs, evidence, replicas, disks', async () => {
  await night.close();
  note('output of up', night.stack.output());
  const { dataFolder } = night.home;
  const entries = readdirSync(dataFolder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('/postgres-programs'))
    .map((entry) => relative(dataFolder, join(entry.parentPath, entry.name)));
  for (const file of files.filter((name) => !homes.includes(name)))
    search.in(`file ${file}`, readFileSync(join(dataFolder, file)));
  expect(search.found).toEqual([]);
  const seen = (part: string): boolean => files.some((file) => file.includes(part));
  for (const part of [
    'logs/worker.log',
    'logs/api.log',
    'temporal/',
    'postgres/cluster/pg_wal',
    'evidence/',
    'sites/recovery',
  ])
    expect([part, seen(part)]).toEqual([part, true]);
});

test('the search is not blind: what is planted in a log is found, and the homes hold what they should, with mode 0600', () => {
  const { dataFolder } = night.home;
  const log = join(dataFolder, 'logs', 'worker.log');
  writeFileSync(log, `${JSON.stringify({ msg: `key ${night.canary('unlock key in a file')}` })}\n`, { flag: 'a' });
  const control = searchFor(night.canaries);
  control.in('planted', readFileSync(log));
  for (const file of homes) {
    control.in(file, readFileSync(join(dataFolder, file)));
    expect([file, (statSync(join(dataFolder, file)).mode & 0o777).toString(8)]).toEqual([file, '600']);
  }
  const places = new Set(control.found.map(({ place }) => place));
  expect([...places].sort()).toEqual(['planted', ...homes].sort());
  expect(shown).toEqual(expect.arrayContaining(['html report', 'json report', 'output of doctor', 'output of up']));
});

test('another user of the host lists nothing of the data folder, and reads no more of it than a hypervisor has to', () => {
  const { dataFolder } = night.home;
  const openTo = (path: string): string[] => {
    const stats = lstatSync(path);
    const here = (stats.mode & 0o006) === 0 || stats.isSymbolicLink() ? [] : [relative(dataFolder, path)];
    const canPass = stats.isDirectory() && (stats.mode & 0o001) !== 0;
    return [...here, ...(canPass ? readdirSync(path).flatMap((name) => openTo(join(path, name))) : [])];
  };
  // Programs, and what simulated sites keep in place of a hypervisor.
  const known = /^(postgres-programs|workflow-bundles|sites)(\/|$)/;
  expect(openTo(dataFolder).filter((path) => !known.test(path))).toEqual([]);
});

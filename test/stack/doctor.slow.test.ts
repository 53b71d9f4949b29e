/** `muster doctor`, with one thing broken at a time: each is found under its id, and says how to mend it. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serve } from '@hono/node-server';
import { runChecks } from '../../stack/doctor/check';
import { judgeSkew } from '../../stack/doctor/clocks';
import { examine } from '../../stack/doctor/doctor';
import { judgeRights, judgeSchema } from '../../stack/doctor/postgres';
import { exitCodeOf, ok, reportSchema, type Checked, type Report } from '../../stack/doctor/report';
import { judgeSpace } from '../../stack/doctor/space';
import { isOlder, tools } from '../../stack/doctor/tools';
import { freePort } from '../../stack/ports';
import { systemPackages } from '../../tools/setup/system-packages.mjs';
import { muster } from '../cli/muster';
import { withDb } from '../support/postgres';
import { openDoor } from '../support/tcp-proxy';
import { testTemporalAddress } from '../support/temporal';

let folder: string;
let env: NodeJS.ProcessEnv;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'muster-doctor-test-'));
  writeConfiguration('sites: [{ id: dr, kind: simulated }]\nsources: [{ id: hq, kind: simulated }]\n');
  env = {
    PATH: process.env['PATH'],
    MUSTER_CONFIG: join(folder, 'muster.yaml'),
    MUSTER_DATA_FOLDER: join(folder, 'data'),
    MUSTER_TEMPORAL_ADDRESS: testTemporalAddress(),
    MUSTER_TEMPORAL_NAMESPACE: 'muster-test',
    MUSTER_API_ENABLED: 'false',
  };
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const writeConfiguration = (text: string): void => writeFileSync(join(folder, 'muster.yaml'), text);
const at = (report: Report, id: string): Checked | undefined => report.checks.find((check) => check.id === id);
const tool = (name: string, script: string): void => {
  writeFileSync(join(folder, 'bin', name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
};

test('a program that is missing, too old or broken is named with the package that brings it', async () => {
  // libvirt's own simulated hypervisor: it needs no daemon.
  writeConfiguration('sites: [{ id: dr, kind: libvirt, uri: "test:///default" }]\nsources: []\n');
  mkdirSync(join(folder, 'bin'));
  symlinkSync('/usr/bin/setpriv', join(folder, 'bin', 'setpriv'));
  tool('virsh', 'echo 6.10.0');
  tool('guestfish', 'echo "guestfish: cannot load libguestfs.so.0" >&2; exit 127');
  const report = await examine({ env: { ...env, PATH: join(folder, 'bin') } });
  expect(at(report, 'tools.setpriv')).toMatchObject({ state: 'ok' });
  expect(at(report, 'tools.qemu-img')).toMatchObject({
    state: 'problem',
    found: 'qemu-img is not on PATH',
    remedy: expect.stringContaining('apt-get install qemu-utils'),
  });
  expect(at(report, 'tools.virsh')).toMatchObject({ state: 'problem', found: 'version 6.10.0' });
  expect(at(report, 'tools.virsh')!.needed).toMatch(/7\.6.*incremental/);
  expect(at(report, 'tools.guestfish')).toMatchObject({ state: 'problem', found: expect.stringContaining('not run') });
  expect(at(report, 'tools.virt-v2v')).toMatchObject({ state: 'warning' });
  expect(exitCodeOf(report)).toBe(1);
});

test('the embedded Temporal server without its program says how to get it', async () => {
  const bin = { MUSTER_TEMPORAL_ADDRESS: '', MUSTER_TEMPORAL_BIN: '/nowhere/temporal' };
  const report = await examine({ env: { ...env, ...bin } });
  expect(at(report, 'tools.temporal')).toMatchObject({
    state: 'problem',
    found: expect.stringContaining('/nowhere/temporal'),
    needed: expect.stringMatching(/^version /),
    remedy: expect.stringContaining('npm run setup'),
  });
});

test('a site of simulated servers asks for none of the programs of real ones', async () => {
  const report = await examine({ env });
  expect(report.checks.map(({ id }) => id)).not.toContain('tools.qemu-img');
  expect(at(report, 'site.dr.platform')).toMatchObject({ state: 'ok' });
  expect(at(report, 'source.hq.platform')).toMatchObject({ state: 'ok' });
});

test('a file in place of a folder, a token that others can read, and a foreign format', async () => {
  const data = env['MUSTER_DATA_FOLDER']!;
  mkdirSync(data);
  chmodSync(data, 0o711);
  writeFileSync(join(data, 'admin-token'), 'mst_1\n', { mode: 0o644 });
  chmodSync(join(data, 'admin-token'), 0o644);
  writeFileSync(join(data, 'format'), '9\n');
  writeFileSync(join(data, 'sites'), '');
  writeFileSync(join(data, 'evidence'), '');
  const report = await examine({ env });
  expect(at(report, 'folders.evidence')).toMatchObject({
    state: 'problem',
    found: expect.stringContaining('no folder'),
  });
  expect(at(report, 'folders.site.dr')).toMatchObject({
    state: 'problem',
    found: expect.stringContaining('no folder'),
  });
  expect(at(report, 'folders.evidence')!.remedy).toContain('MUSTER_EVIDENCE_FOLDER');
  expect(at(report, 'files.admin-token')).toMatchObject({
    state: 'problem',
    remedy: expect.stringContaining('chmod 600'),
  });
  expect(at(report, 'folders.format')).toMatchObject({ state: 'problem', needed: 'format 1' });
  expect(at(report, 'folders.data')).toMatchObject({ state: 'ok' });
});

test('Postgres behind a door: open, its version, schema and rights are right; shut, one problem and nothing else asked', async () => {
  await withDb(async ({ url }) => {
    const direct = new URL(url);
    const door = await openDoor(Number(direct.port));
    try {
      const file = join(folder, 'postgres-url');
      const proxied = Object.assign(new URL(url), { port: String(door.port), password: 'cAnArY-word' }).toString();
      writeFileSync(file, `${proxied}\n`, { mode: 0o600 });
      const withPostgres = { ...env, MUSTER_POSTGRES_URL_FILE: file };
      const open = await examine({ env: withPostgres });
      for (const id of ['postgres.connection', 'postgres.schema', 'postgres.rights', 'clock.postgres']) {
        expect(at(open, id)).toMatchObject({ id, state: 'ok' });
      }
      expect(at(open, 'postgres.rights')!.found).toBe('muster_app may add, read');
      await door.shut();
      const shut = await examine({ env: withPostgres });
      expect(at(shut, 'postgres.connection')).toMatchObject({ state: 'problem' });
      expect(at(shut, 'postgres.connection')!.remedy).toContain(`127.0.0.1:${door.port}`);
      expect(shut.notAsked).toEqual(['secrets.servers', 'postgres.schema', 'postgres.rights', 'clock.postgres']);
      expect(JSON.stringify([open, shut])).not.toContain('cAnArY-word');
    } finally {
      await door.close();
    }
  });
});

test('a clock that is wrong here is seen against Postgres and Temporal: a warning above 1 s, a problem above 30 s', async () => {
  await withDb(async ({ url }) => {
    const file = join(folder, 'postgres-url');
    writeFileSync(file, url, { mode: 0o600 });
    const withPostgres = { ...env, MUSTER_POSTGRES_URL_FILE: file };
    const late = await examine({ env: withPostgres, now: () => Date.now() - 3_600_000 });
    for (const id of ['clock.postgres', 'clock.temporal']) {
      expect(at(late, id)).toMatchObject({ id, state: 'problem', remedy: expect.stringContaining('timedatectl') });
      expect(at(late, id)!.found).toMatch(/is 36\d\d s ahead/);
    }
    const right = await examine({ env: withPostgres });
    for (const id of ['clock.postgres', 'clock.temporal']) expect(at(right, id)).toMatchObject({ id, state: 'ok' });
  });
  expect(judgeSkew('x', 1_500, 400)).toMatchObject({ state: 'warning' });
  expect(judgeSkew('x', -1_500, 600)).toMatchObject({ state: 'ok' });
  expect(judgeSkew('x', -31_000, 500)).toMatchObject({ state: 'problem', found: 'x is 31 s behind' });
});

test('queues without a worker, a namespace that does not exist, and a Temporal that is not there', async () => {
  const alone = await examine({ env });
  expect(at(alone, 'temporal.connection')).toMatchObject({ found: expect.stringContaining('namespace muster-test') });
  for (const id of ['worker.queue.site:dr', 'worker.queue.site:dr:replication']) {
    expect(at(alone, id)).toMatchObject({ state: 'problem', remedy: expect.stringContaining('muster worker') });
  }
  const wrong = await examine({ env: { ...env, MUSTER_TEMPORAL_NAMESPACE: 'nowhere' } });
  expect(at(wrong, 'temporal.connection')).toMatchObject({
    state: 'problem',
    remedy: expect.stringContaining('temporal operator namespace create -n nowhere'),
  });
  const away = await examine({ env: { ...env, MUSTER_TEMPORAL_ADDRESS: `127.0.0.1:${await freePort()}` } });
  expect(at(away, 'temporal.connection')).toMatchObject({ state: 'problem' });
  expect(away.notAsked).toEqual(expect.arrayContaining(['worker.queue.muster', 'clock.temporal']));
});

test('an API of another program, of another version, and one that lacks a part', async () => {
  let answer: object = { hello: 'world' };
  const port = await freePort();
  const server = serve({ fetch: () => Response.json(answer), port, hostname: '127.0.0.1' });
  const apiAt = async (): Promise<Checked | undefined> =>
    at(await examine({ env: { ...env, MUSTER_URL: `http://127.0.0.1:${port}` } }), 'api.connection');
  try {
    expect(await apiAt()).toMatchObject({ state: 'problem', found: expect.stringContaining('another program') });
    answer = { ok: true, version: '0.0.1', time: new Date().toISOString(), parts: [] };
    expect(await apiAt()).toMatchObject({ state: 'warning', found: 'version 0.0.1' });
    answer = { ...answer, parts: [{ name: 'postgres', ok: false, detail: 'ECONNREFUSED' }] };
    expect(await apiAt()).toMatchObject({ state: 'problem', found: 'postgres: ECONNREFUSED' });
  } finally {
    await new Promise((done) => server.close(done));
  }
});

test('a check that hangs ends at its deadline, one that throws is a problem, and the others are not touched', async () => {
  const { checks, notAsked } = await runChecks([
    { id: 'a', title: 'hangs', deadlineMs: 20, look: () => new Promise(() => undefined) },
    { id: 'b', title: 'throws', look: () => Promise.reject(new Error('postgres://muster:pw@db/x is away\u001b[2J')) },
    { id: 'c', title: 'fine', look: async () => ok('x') },
    { id: 'd', title: 'has nobody to ask', look: async () => undefined },
  ]);
  expect(checks.map(({ id, state, found }) => [id, state, found])).toEqual([
    ['a', 'problem', 'no answer within 0.02 s'],
    ['b', 'problem', 'postgres://muster:…@db/x is away'],
    ['c', 'ok', 'x'],
  ]);
  expect(notAsked).toEqual(['d']);
});

test('little room, an old or newer schema, and too many rights are judged', () => {
  expect(judgeSpace('/x', 20 * 1024 ** 3, 900_000)).toMatchObject({ state: 'ok' });
  expect(judgeSpace('/x', 20 * 1024 ** 3, null)).toMatchObject({ state: 'ok' });
  expect(judgeSpace('/x', 2 * 1024 ** 3, 900_000)).toMatchObject({ state: 'warning' });
  expect(judgeSpace('/x', 20 * 1024 ** 3, 12)).toMatchObject({
    state: 'problem',
    found: expect.stringContaining('12 inodes'),
  });
  const condition = { where: 'db', serverVersion: '16.1', clockMs: 0, neededSchemaVersion: 3, journal: null };
  expect(judgeSchema({ ...condition, schemaVersion: null })).toMatchObject({ state: 'warning' });
  expect(judgeSchema({ ...condition, schemaVersion: 2 })).toMatchObject({ remedy: expect.stringContaining('prepare') });
  expect(judgeSchema({ ...condition, schemaVersion: 4 })).toMatchObject({ state: 'problem' });
  const journal = { role: 'muster_app', insert: true, read: true, change: true };
  expect(judgeRights({ ...condition, schemaVersion: 3, journal })).toMatchObject({ state: 'warning' });
  expect(judgeRights({ ...condition, schemaVersion: 3, journal: { ...journal, insert: false } })).toMatchObject({
    state: 'problem',
    remedy: expect.stringContaining('grant select, insert on muster.journal'),
  });
  expect(['6.10.0', '7.5.9', '7.6', '7.10', '10.0'].map((each) => isOlder(each, '7.6'))).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});

test('what doctor calls the package of a program is what set-up installs', () => {
  const installed = systemPackages.flatMap(({ name, programs = [] }) =>
    programs.map((program) => `${program}: ${name}`),
  );
  const named = tools.filter(({ needs }) => needs !== 'option').map((each) => `${each.program}: ${each.package}`);
  expect(named.filter((each) => !installed.includes(each))).toEqual([]);
});

test('the program answers in JSON of its schema, with ids that are all different, and with exit code 1 for a problem', async () => {
  const json = await muster(['doctor', '--json'], env as Record<string, string>);
  const report = reportSchema.parse(JSON.parse(json.stdout));
  expect(new Set(report.checks.map(({ id }) => id)).size).toBe(report.checks.length);
  expect([report.state, json.exitCode]).toEqual(['problem', 1]);
  const bad = await muster(['doctor'], { MUSTER_API_PORT: 'seventy' });
  expect(bad).toMatchObject({
    exitCode: 1,
    stdout: expect.stringMatching(/problem .*\[configuration\]\n.*MUSTER_API_PORT/),
  });
});

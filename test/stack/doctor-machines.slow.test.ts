/** `muster doctor` on physical machines and secrets, with one thing broken at a time; nothing of a secret is ever shown. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openClaims } from '../../platforms/physical/claims';
import { examine } from '../../stack/doctor/doctor';
import { nameMoves } from '../../stack/doctor/machines';
import { reportSchema, type Checked, type Report } from '../../stack/doctor/report';
import { v7 as uuidv7 } from 'uuid';
import { muster } from '../cli/muster';
import { storyServer } from '../support/order';
import { redfishUser, startRedfish, type TestRedfish } from '../support/redfish';
import { testTemporalAddress } from '../support/temporal';
import { withStore } from '../store/store';

let folder: string;
let secrets: string;
let image: string;
let redfish: TestRedfish;
let env: Record<string, string>;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'muster-doctor-machines-'));
  secrets = join(folder, 'secrets');
  image = join(folder, 'rack-7.img');
  redfish = await startRedfish(['rack-7']);
  mkdirSync(secrets, { mode: 0o700 });
  keep('bmc', redfishUser.password);
  writeFileSync(image, '');
  truncateSync(image, 1024 * 1024);
  configure();
  env = {
    PATH: process.env['PATH'] ?? '',
    MUSTER_CONFIG: join(folder, 'muster.yaml'),
    MUSTER_DATA_FOLDER: join(folder, 'data'),
    MUSTER_SECRETS_FOLDER: secrets,
    MUSTER_TEMPORAL_ADDRESS: testTemporalAddress(),
    MUSTER_TEMPORAL_NAMESPACE: 'muster-test',
    MUSTER_API_ENABLED: 'false',
  };
});
afterEach(async () => {
  await redfish.close();
  rmSync(folder, { recursive: true, force: true });
});

const keep = (name: string, text: string, mode = 0o600): void => {
  writeFileSync(join(secrets, name), text);
  chmodSync(join(secrets, name), mode);
};

interface Changes {
  readonly power?: object;
  readonly disk?: object;
}

/** JSON is YAML. */
function configure({ power = {}, disk = {} }: Changes = {}): void {
  const controller = { url: redfish.url, systemId: 'rack-7', user: redfishUser.user, password: 'file:bmc', ...power };
  const machine = {
    ...{ name: 'rack-7', hardware: 'physical-ahci', firmware: 'bios', cpuCount: 1, memoryBytes: 1024 ** 3 },
    ...{ disks: [{ device: image, ...disk }], power: { redfish: controller } },
  };
  const sites = [{ id: 'dr', kind: 'simulated', machines: [machine] }];
  writeFileSync(join(folder, 'muster.yaml'), JSON.stringify({ sites, sources: [] }));
}

const at = (report: Report, id: string): Checked | undefined => report.checks.find((check) => check.id === id);
const look = async (id: string): Promise<Checked | undefined> => at(await examine({ env }), id);
const controller = 'machine.dr.rack-7.controller';
const disk0 = 'machine.dr.rack-7.disk0';

test('what is right is said in JSON, and the exit code follows what is broken', async () => {
  const report = await examine({ env });
  for (const id of [controller, disk0, 'machines.dr', 'secrets.folder', 'secrets.file:bmc']) {
    expect(at(report, id)).toMatchObject({ id, state: 'ok' });
  }
  expect(at(report, controller)!.found).toBe('system rack-7 is off, asked as muster');
  expect(at(report, disk0)!.found).toBe('1 MiB, claimed by nobody, never written by Muster');
  rmSync(image);
  const json = await muster(['doctor', '--json'], env);
  const broken = reportSchema.parse(JSON.parse(json.stdout));
  expect([at(broken, disk0)?.state, json.exitCode]).toEqual(['problem', 1]);
  const text = await muster(['doctor'], env);
  expect(text.stdout).toContain(`[${disk0}]`);
  expect(`${json.stdout}${text.stdout}${JSON.stringify(report)}`).not.toContain(redfishUser.password);
});

test('a controller that is away, refuses the password, does not know the machine, or shows a strange state', async () => {
  redfish.fault = () => ({ status: 503 });
  expect(await look(controller)).toMatchObject({ state: 'problem', found: expect.stringContaining('HTTP 503') });
  redfish.fault = null;
  keep('bmc', 'another password');
  expect(await look(controller)).toMatchObject({
    state: 'problem',
    found: expect.stringContaining('refuses the user muster'),
    remedy: expect.stringContaining('file:bmc'),
  });
  keep('bmc', redfishUser.password);
  redfish.states.set('rack-7', 'Dreaming');
  expect(await look(controller)).toMatchObject({ state: 'problem', found: expect.stringContaining('Dreaming') });
  configure({ power: { systemId: 'rack-8' } });
  expect(await look(controller)).toMatchObject({
    state: 'problem',
    found: expect.stringMatching(/has no system rack-8.*rack-7/),
    remedy: expect.stringContaining('systemId'),
  });
  configure({ power: { url: 'http://127.0.0.1:1' } });
  expect(await look(controller)).toMatchObject({ state: 'problem', needed: expect.stringContaining('127.0.0.1:1') });
  configure({ power: { insecure: true } });
  redfish.states.set('rack-7', 'Off');
  expect(await look(controller)).toMatchObject({ state: 'warning', remedy: expect.stringContaining('caFile') });
});

test('a name that the kernel gives by order is told from one that stays', () => {
  const moving = ['/dev/sda', '/dev/vdb', '/dev/nvme0n1', '/dev/disk/by-id/nvme-INTEL_S6Z1', '/srv/rack-7.img'];
  expect(moving.map(nameMoves)).toEqual([true, true, true, false, false]);
});

test('a disk that is another one, is empty, is no disk, and one that runs and claims hold', async () => {
  configure({ disk: { serial: 'S6Z1' } });
  expect(await look(disk0)).toMatchObject({ state: 'problem', needed: 'serial S6Z1' });
  writeFileSync(`${image}.serial`, 'S6Z1\n');
  expect(await look(disk0)).toMatchObject({ state: 'ok' });
  truncateSync(image, 0);
  expect(await look(disk0)).toMatchObject({ state: 'problem', found: expect.stringContaining('0 B') });
  configure({ disk: { device: folder } });
  expect(await look(disk0)).toMatchObject({
    state: 'problem',
    found: expect.stringContaining('neither a block device'),
  });
  configure();
  truncateSync(image, 1024 * 1024);
  rmSync(`${image}.serial`);
  const claims = openClaims(join(folder, 'data', 'sites', 'dr', 'physical'));
  const runId = uuidv7();
  const claim = { format: 1, uuid: uuidv7(), owner: { tenantId: 'main', runId }, disks: [], power: 'off' } as const;
  for (const machine of ['rack-7', 'rack-9']) {
    await claims.write({ ...claim, machine, claimedAt: new Date().toISOString(), poweredOnAt: null, consoleOffset: 0 });
  }
  const report = await examine({ env });
  expect(at(report, disk0)!.found).toContain(`claimed by run ${runId}`);
  expect(at(report, 'machines.dr')).toMatchObject({
    state: 'warning',
    found: expect.stringContaining('rack-9'),
    remedy: expect.stringContaining('muster machines release rack-9 --site dr'),
  });
});

test('a folder of secrets that others can enter or change, a secret that is missing, open to others or empty', async () => {
  chmodSync(secrets, 0o755);
  expect(await look('secrets.folder')).toMatchObject({
    state: 'warning',
    remedy: expect.stringContaining('chmod 0700'),
  });
  chmodSync(secrets, 0o777);
  expect(await look('secrets.folder')).toMatchObject({ state: 'problem' });
  chmodSync(secrets, 0o700);
  keep('bmc', redfishUser.password, 0o644);
  const open = await examine({ env });
  expect(at(open, 'secrets.file:bmc')).toMatchObject({
    state: 'problem',
    remedy: expect.stringContaining('chmod 0600'),
  });
  expect(open.notAsked).toContain(controller);
  expect(JSON.stringify(open)).not.toContain(redfishUser.password);
  keep('bmc', '\n');
  expect(await look('secrets.file:bmc')).toMatchObject({
    state: 'problem',
    found: expect.stringContaining('nothing in it'),
  });
  rmSync(secrets, { recursive: true });
  const gone = await examine({ env });
  expect(at(gone, 'secrets.folder')).toMatchObject({ state: 'problem', remedy: expect.stringContaining('install -d') });
  expect(at(gone, 'secrets.file:bmc')).toMatchObject({
    state: 'problem',
    remedy: expect.not.stringContaining('decide'),
  });
});

test('secrets of the mail server and of webhooks are resolved where the API runs, and nowhere else', async () => {
  const mail = { host: '127.0.0.1', security: 'none', user: 'muster', password: 'file:smtp' };
  const webhooks = [{ name: 'chat', url: 'https://chat.example/hook', secret: 'environment:MUSTER_SECRET_CHAT' }];
  writeFileSync(
    join(folder, 'muster.yaml'),
    JSON.stringify({ sites: [{ id: 'dr', kind: 'simulated' }], mail, webhooks }),
  );
  const elsewhere = (await examine({ env })).checks.map(({ id }) => id);
  expect(elsewhere).not.toContain('secrets.file:smtp');
  env['MUSTER_API_ENABLED'] = 'true';
  const broken = await examine({ env });
  expect(at(broken, 'secrets.file:smtp')).toMatchObject({
    state: 'problem',
    title: 'file:smtp, the password of the mail server',
    found: expect.stringContaining('no file'),
  });
  expect(at(broken, 'secrets.environment:MUSTER_SECRET_CHAT')).toMatchObject({
    state: 'warning',
    title: 'environment:MUSTER_SECRET_CHAT, the secret of webhook chat',
    remedy: expect.stringContaining('this is only the one of this command'),
  });
  keep('smtp', 'cAnArY-word');
  env['MUSTER_SECRET_CHAT'] = 'cAnArY-word';
  const right = await examine({ env });
  for (const id of ['secrets.file:smtp', 'secrets.environment:MUSTER_SECRET_CHAT'])
    expect(at(right, id)).toMatchObject({ state: 'ok' });
  expect(JSON.stringify(right)).not.toContain('cAnArY-word');
});

test('keys that servers refer to are resolved, and none is asked for while Postgres is away', async () => {
  await withStore(async (store, url) => {
    keep('postgres-url', url);
    env['MUSTER_POSTGRES_URL_FILE'] = join(secrets, 'postgres-url');
    const unlockKeys = [
      { from: 'file', name: 'app01-disk' },
      { from: 'environment', name: 'MUSTER_SECRET_APP01' },
    ] as const;
    await store.servers.save({ ...storyServer, id: uuidv7(), recoverySiteId: 'dr', unlockKeys });
    expect(await look('secrets.servers')).toMatchObject({
      state: 'problem',
      found: expect.stringMatching(/file:app01-disk of .*no file.*environment:MUSTER_SECRET_APP01/),
    });
    keep('app01-disk', 'cAnArY-word');
    expect(await look('secrets.servers')).toMatchObject({ state: 'warning' });
    env['MUSTER_SECRET_APP01'] = 'cAnArY-word';
    const right = await examine({ env });
    expect(at(right, 'secrets.servers')).toMatchObject({ state: 'ok', found: '2 references' });
    expect(JSON.stringify(right)).not.toContain('cAnArY-word');
  });
  keep('postgres-url', 'postgres://muster@127.0.0.1:1/muster');
  expect((await examine({ env })).notAsked).toContain('secrets.servers');
});

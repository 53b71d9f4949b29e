/** Readiness through the API and the command line, against a simulated site and the real engine. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { serveApi, type ServedApi } from '../../api/server';
import { startReadiness } from '../../api/readiness/loop';
import { knownServers } from '../../api/known-servers';
import type { CertificateSeen } from '../../model/readiness/plan-risks';
import type { ReadinessAnswer } from '../../model/readiness/site-readiness';
import { hardwareProfiles, type OperatingSystem } from '../../model/server';
import { changeMachine } from '../../platforms/simulated/machines';
import { siteAt } from '../../platforms/simulated/site';
import { muster } from '../cli/muster';
import { tellRehearsal } from '../support/rehearsals';
import { makeOrder } from '../support/order';
import { caller, eventually, openTestStack, recoveryTools, siteId } from './stack';
import type { Call, RecoveryTools, TestStack } from './stack';

let stack: TestStack;
let call: Call;
let tools: RecoveryTools;
let served: ServedApi;
/** What the worker's host lacks, and what the API sees of certificates. */
let lacking: ReadinessAnswer['host'] = [];
let certificates: readonly CertificateSeen[] = [];
/** What the site sees of the controllers of its physical machines. */
let controllers: readonly CertificateSeen[] = [];

beforeAll(async () => {
  const readiness = { everyMs: 50, dueMs: 14 * day, certificateMs: 30 * day };
  stack = await openTestStack({ readiness }, { certificates: async () => controllers }, () => Promise.resolve(lacking));
  call = caller({ ...stack, deps: { ...stack.deps, certificates: () => Promise.resolve(certificates) } });
  tools = recoveryTools(stack, call);
  served = await serveApi(stack.deps, { host: '127.0.0.1', port: 0 });
  await stack.startWorkers();
  await tools.protectedServer('db01');
  await tools.protectedServer('app01');
});
afterAll(async () => {
  await served?.stop();
  await stack?.close();
});

type SourceMachine = NonNullable<Parameters<Parameters<typeof changeMachine>[3]>[0]>;
type Disks = SourceMachine['disks'];
const day = 86_400_000;
const env = () => ({ MUSTER_URL: served.url, MUSTER_TOKEN: stack.tokens.operator });

const shop = (recovery = '{ lan: lan }', title = 'Web shop', rehearsal = '{ lan: isolated }'): string => `format: 1
name: shop
title: ${title}
networks: { recovery: ${recovery}, rehearsal: ${rehearsal} }
defaults: { hardware: kvm-virtio }
waves:
  - { name: data, servers: [{ name: db01 }] }
  - { name: application, after: [data], servers: [{ name: app01 }] }
`;

const importText = async (text: string): Promise<{ version: number; sha256: string }> => {
  const runbook = { name: 'shop', text, title: 'Shop', tier: 1, includes: [], importedBy: 'Ada' };
  return (await stack.store.runbooks.import(runbook)).runbook;
};

/** Asks all, and gives the risks that concern `of`. */
async function risks(
  of = '',
): Promise<Record<string, { severity: string; found: string; since: string; remedy: string }>> {
  expect((await call('POST', '/readiness/rounds')).status).toBe(200);
  const { body } = await call('GET', `/readiness${of === '' ? '' : `?of=${of}`}`);
  return Object.fromEntries(body.items.map((item: { id: string }) => [item.id, item]));
}
const state = async () => (await call('GET', '/runbooks/shop/readiness')).body.runbooks[0]?.verification;

/** At its source; the inventory is told nothing. */
const changeAtSource = (name: string, change: (machine: SourceMachine) => Partial<SourceMachine>): Promise<unknown> =>
  changeMachine(siteAt({ folder: join(stack.folder, 'site'), id: siteId }), name, 'test', (machine) =>
    Promise.resolve({ next: { ...machine!, ...change(machine!) }, takesMs: 0 }),
  );
const changeDisks = (name: string, change: (disks: Disks) => Disks): Promise<unknown> =>
  changeAtSource(name, ({ disks }) => ({ disks: change(disks) }));

test('what preflight would find at the site is a risk of its server, and goes when it is mended, with its times kept', async () => {
  await importText(shop('{ lan: none-such }', 'Web shop', '{ lan: lan }'));
  const found = await risks('db01');
  expect(found['network/server/db01/network for lan']).toMatchObject({
    severity: 'critical',
    found: 'none-such',
    remedy: expect.stringContaining('shop'),
  });
  expect(await risks('app01')).not.toHaveProperty(['network/server/db01/network for lan']);
  expect((await risks('shop'))['network/runbook/shop/rehearsal lan']).toMatchObject({
    found: 'lan, which is not isolated',
  });
  const since = found['network/server/db01/network for lan']!.since;
  await importText(shop());
  expect(await risks()).not.toHaveProperty(['network/server/db01/network for lan']);
  const gone = (await call('GET', `/readiness?kind=network&goneSince=${since}`)).body.items;
  expect(
    gone.map(({ id, since: from, goneAt }: Record<string, string>) => [id, from, goneAt! >= from!]),
  ).toContainEqual(['network/server/db01/network for lan', since, true]);
});

test('a program that the worker’s host lacks, and a certificate about to end, are risks of a round, and go', async () => {
  const needed = { found: 'none', needed: '8.2 or later', remedy: 'Install it.' };
  lacking = [{ name: 'qemu-img', severity: 'problem', ...needed }];
  const endsAt = new Date(Date.now() + 3 * day).toISOString();
  certificates = [{ of: 'webhook chat', at: 'chat.example:443', endsAt, because: null }];
  const at = 'bmc.example:443 (controller of rack-7)';
  controllers = [{ of: 'rack-7', at, endsAt: new Date(Date.now() + 20 * day).toISOString(), because: null }];
  const all = await risks();
  const found = Object.values(all).map(({ found: what, severity }) => `${severity} ${what}`);
  expect(found).toEqual(expect.arrayContaining(['critical none', expect.stringMatching(/^critical .*ends/)]));
  expect(all[`certificate/site/${siteId}/${at}`]).toMatchObject({ severity: 'warning' });
  expect(Object.keys(await risks('db01'))).toContain(`certificate/site/${siteId}/${at}`);
  [lacking, certificates, controllers] = [[], [], []];
  const ids = Object.keys(await risks());
  expect(ids.filter((id) => id.startsWith('host/') || id.startsWith('certificate/'))).toEqual([]);
});

test('a disk that is new at the source, and a secret that is nowhere, are critical', async () => {
  const db01 = (await stack.store.servers.find('db01'))!;
  await stack.store.servers.save({
    ...db01,
    disks: [{ ...db01.disks[0]!, sizeBytes: 1024 }],
    memoryBytes: 2 * db01.memoryBytes,
    unlockKeys: [{ from: 'file', name: 'db01-luks' }],
  });
  const found = await risks('db01');
  expect(found['changed-source/server/db01/disk0 of db01']).toMatchObject({ severity: 'critical' });
  expect(found['changed-source/server/db01/memory of db01']).toMatchObject({ severity: 'warning' });
  expect(found[`secret/site/${siteId}/file:db01-luks`]).toMatchObject({ severity: 'critical' });
  await stack.store.servers.save(db01);
  expect(Object.keys(await risks('db01')).filter((id) => /changed-source|secret/.test(id))).toEqual([]);
});

test('a paused session and a point that is older than the objective are said; too little room is critical for all together', async () => {
  const app01 = (await stack.store.servers.find('app01'))!;
  await call('POST', '/servers/app01/protection/pause', { body: { reason: 'storage is being moved' } });
  await stack.store.servers.save({ ...app01, objectives: { ...app01.objectives, rpoMs: 1 } });
  await writeFile(join(stack.folder, 'site', 'settings.json'), JSON.stringify({ memoryFreeBytes: 64 * 1024 ** 2 }));
  const found = await risks('app01');
  expect(found['replication/server/app01/state']).toMatchObject({ severity: 'warning', found: 'paused by a person' });
  expect(found['replication/server/app01/lag']).toMatchObject({ severity: 'critical' });
  expect((await risks('shop'))[`memory/runbook/shop/${siteId}`]).toMatchObject({
    severity: 'critical',
    found: `64 MiB free at site ${siteId}`,
  });
  await writeFile(join(stack.folder, 'site', 'settings.json'), '{}');
  await stack.store.servers.save(app01);
  await call('POST', '/servers/app01/protection/resume', { body: { reason: 'moved' } });
  await eventually(async () => !((await risks('app01'))['replication/server/app01/state'] !== undefined));
});

test('a runbook is verified by a rehearsal of this text on these servers; an edit and a new disk turn it back, item by item', async () => {
  const { version, sha256 } = await importText(shop());
  expect(await state()).toMatchObject({ state: 'never-rehearsed' });
  expect(await risks('shop')).toHaveProperty(['rehearsal/runbook/shop/needed']);
  const servers = new Map((await stack.store.servers.list()).map((server) => [server.name, server]));
  const hardware = hardwareProfiles['kvm-virtio']!;
  await tellRehearsal(stack.store, {
    ...{ second: 0, sha256, runbook: { name: 'shop', version }, skip: false },
    servers: ['db01', 'app01'].map((name) => ({ name, state: 'succeeded' })),
    order: (name) => ({ server: servers.get(name)!, target: { ...makeOrder().target, hardware } }),
    now: (second) => new Date(Date.now() - 60_000 + second * 1000).toISOString(),
  });
  expect(await state()).toMatchObject({ state: 'verified', because: [] });
  expect(await risks('shop')).not.toHaveProperty(['rehearsal/runbook/shop/needed']);
  await changeDisks('db01', (disks) => [...disks, { ...disks[0]!, diskId: 'disk1', index: 1 }]);
  const turned = await risks('shop');
  expect(turned).toHaveProperty(['changed-source/server/db01/disk1 of db01']);
  expect(turned['rehearsal/runbook/shop/needed']?.found).toBe('at its source disk1 of db01 is new (256 KiB)');
  expect(await state()).toMatchObject({
    state: 'needs-rehearsal',
    because: ['at its source disk1 of db01 is new (256 KiB)'],
  });
  await changeDisks('db01', (disks) => disks.slice(0, 1));
  expect(await risks('shop')).not.toHaveProperty(['rehearsal/runbook/shop/needed']);
  expect(await state()).toMatchObject({ state: 'verified' });

  // A guest whose agent is silent has changed nothing, and takes back no change that was known.
  const system = servers.get('db01')!.os;
  const agentSays = async (os: OperatingSystem | null) => {
    await changeAtSource('db01', () => ({ os }));
    const said = await risks('shop');
    const which = Object.keys(said).filter((id) => /agent$|system|rehearsal\/runbook\/shop\/needed/.test(id));
    return [...which.map((id) => id.split('/').at(-1)!).sort(), (await state()).state];
  };
  expect(await agentSays(null)).toEqual(['agent', 'verified']);
  const changed = ['needed', 'operating system of db01', 'needs-rehearsal'];
  expect(await agentSays({ ...system, version: '99' })).toEqual(changed);
  expect(await agentSays(null)).toEqual(['agent', ...changed]);
  expect(await agentSays(system)).toEqual(['verified']);

  await importText(shop('{ lan: lan }', 'The shop'));
  expect((await state()).because).toEqual([`text changed since version ${version}: keys title`]);
  await importText(shop('{ lan: lan }', 'Web shop # busy in December'));
  expect((await state()).because[0]).toMatch(/comments or layout only/);
  const db01 = servers.get('db01')!;
  const extra = { ...db01.disks[0]!, id: 'disk1', index: 1, sourceDevice: 'sdb' };
  await stack.store.servers.save({ ...db01, disks: [...db01.disks, extra] });
  expect((await state()).because).toContain('disk1 of db01 is new (256 KiB)');
  await stack.store.servers.save(db01);
});

test('a point that is older than the runbook itself promises is a risk of the runbook, also where the inventory asks for less', async () => {
  const app01 = (await stack.store.servers.find('app01'))!;
  await stack.store.servers.save({ ...app01, objectives: { ...app01.objectives, rpoMs: day } });
  await call('POST', '/servers/app01/protection/pause', { body: { reason: 'storage is being moved' } });
  await importText(
    shop('{ lan: lan }', 'Promising').replace('{ name: app01 }', '{ name: app01, objectives: { rpo: 1s, rto: 9h } }'),
  );
  const lag = 'replication/runbook/shop/lag of app01';
  await eventually(async () => (await risks('shop'))[lag]?.severity === 'critical');
  const found = await risks('app01');
  expect(found[lag]).toMatchObject({ needed: 'at most 1.0 s (its RPO of app01)' });
  expect(found).not.toHaveProperty(['replication/server/app01/lag']);
  await importText(shop('{ lan: lan }', 'Promising nothing'));
  expect(await risks('shop')).not.toHaveProperty([lag]);
  await stack.store.servers.save(app01);
  await call('POST', '/servers/app01/protection/resume', { body: { reason: 'moved' } });
  await eventually(async () => !((await risks('app01'))['replication/server/app01/state'] !== undefined));
});

test('asked about one server or runbook, a round leaves the risks of others as they were', async () => {
  const ask = async (path: string) => (await call('POST', path)).status;
  const withoutNetwork = async () =>
    (await call('GET', '/readiness?kind=network')).body.items.map(
      ({ subject }: { subject: { name: string } }) => subject.name,
    );
  await importText(shop('{ lan: lan }', 'Asked of all'));
  await risks();
  await importText(shop('{ lan: none-such }', 'Asked of one'));
  expect([await ask('/readiness/rounds?of=db01'), await withoutNetwork()]).toEqual([200, ['db01']]);
  await importText(shop('{ lan: lan }', 'Mended'));
  expect([await ask('/readiness/rounds?of=app01'), await withoutNetwork()]).toEqual([200, ['db01']]);
  expect([await ask('/runbooks/shop/readiness/rounds'), await withoutNetwork()]).toEqual([200, []]);
  expect([await ask('/runbooks/db01/readiness/rounds'), await ask('/readiness/rounds?of=none')]).toEqual([404, 404]);
});

test('what could not be looked at stays as it was: a source that is gone, a runbook that cannot be planned, secrets of others', async () => {
  await importText(shop('{ lan: none-such }', 'Unseen'));
  await changeDisks('db01', (disks) => [...disks, { ...disks[0]!, diskId: 'disk1', index: 1 }]);
  const app01 = (await stack.store.servers.find('app01'))!;
  await stack.store.servers.save({ ...app01, unlockKeys: [{ from: 'file', name: 'nope' }] });
  const open = async () => {
    const { items } = (await call('GET', '/readiness')).body as { items: { id: string; since: string }[] };
    return Object.fromEntries(items.map(({ id, since }) => [id, since]));
  };
  await risks();
  const before = await open();
  const [disk, network] = ['changed-source/server/db01/disk1 of db01', 'network/server/db01/network for lan'];
  const secret = `secret/site/${siteId}/file:nope`;
  expect(before).toMatchObject({
    [disk]: expect.anything(),
    [network]: expect.anything(),
    [secret]: expect.anything(),
  });
  expect(await state()).toMatchObject({ state: 'needs-rehearsal' });

  await call('POST', '/readiness/rounds?of=db01');
  expect(await open()).toMatchObject({ [secret]: before[secret] });

  const db01 = (await stack.store.servers.find('db01'))!;
  await stack.store.servers.save({ ...db01, source: { ...db01.source, machineName: 'gone' } });
  await stack.store.servers.remove(app01.id);
  await risks();
  const now = await open();
  expect(now).toMatchObject({ [disk]: before[disk], [network]: before[network] });
  expect(Object.keys(now)).toContain('changed-source/server/db01/unseen');
  await stack.store.servers.save(db01);
  await stack.store.servers.save(app01);
  await changeDisks('db01', (disks) => disks.slice(0, 1));
  await importText(shop('{ lan: lan }', 'Seen again'));
  expect(Object.keys(await risks()).filter((id) => [disk, network, secret].includes(id))).toEqual([]);
});

test('the command line shows it and ends with a code of its own when something is critical', async () => {
  await importText(shop('{ lan: none-such }', 'Again'));
  const shown = await muster(['readiness', 'db01', '--now'], env());
  expect(shown.stdout).toContain('critical server db01: network');
  expect(shown.stdout).toContain('none-such');
  expect(shown.exitCode).toBe(1);
  const json = await muster(['--json', 'readiness', '--severity', 'critical'], env());
  expect(JSON.parse(json.stdout).items.every((item: { severity: string }) => item.severity === 'critical')).toBe(true);
  await importText(shop('{ lan: lan }', 'Good again'));
  expect((await muster(['readiness', 'shop', '--now'], env())).exitCode).toBe(0);
  expect((await muster(['readiness', 'shopp'], env())).stderr).toMatch(/no runbook "shopp".*shop.*no server "shopp"/s);
  const scopes = [{ kind: 'site', name: siteId } as const];
  const { token } = await stack.store.tokens.issue({ name: 'Ines', role: 'operator', scopes }, null);
  const hers = await muster(['readiness', 'db01', '--now'], { ...env(), MUSTER_TOKEN: token });
  expect([hers.exitCode, hers.stderr, hers.stdout]).toEqual([0, '', expect.stringContaining('shop (version')]);
});

test('secrets of scripts are tried on whatever occasion they run: at a wave, in a rehearsal, at its clean-up', async () => {
  const script = (name: string, place: string) =>
    `  - { name: ${name}, when: after, ${place}, on: worker, program: tell, environment: { KEY: { secret: file:${name} } } }\n`;
  const scripts = [
    script('of-wave', 'wave: data'),
    script('of-rehearsal', 'step: power-on, in: [rehearsal]'),
    script('of-clean-up', 'step: power-on, in: [clean-up], servers: [app01]'),
  ];
  await importText(`${shop('{ lan: lan }', 'With scripts')}scripts:\n${scripts.join('')}`);
  const secrets = Object.keys(await risks()).filter((id) => id.startsWith('secret/'));
  expect(secrets.sort()).toEqual(
    ['of-clean-up', 'of-rehearsal', 'of-wave'].map((name) => `secret/site/${siteId}/file:${name}`),
  );
  await importText(shop('{ lan: lan }', 'Without scripts'));
  expect(Object.keys(await risks()).filter((id) => id.startsWith('secret/'))).toEqual([]);
});

test('a site that does not answer is itself a risk, and what it said before stays as it was', async () => {
  await importText(shop('{ lan: none-such }', 'Silent'));
  expect(await risks()).toHaveProperty(['network/server/db01/network for lan']);
  await stack.stopWorkers();
  await importText(shop('{ lan: lan }', 'Mended while nobody looks'));
  const loop = startReadiness(stack.deps, knownServers(stack.deps));
  const found = await eventually(async () => {
    const { items } = (await call('GET', '/readiness')).body;
    return items.some(({ id }: { id: string }) => id === `not-asked/site/${siteId}`) && items;
  }, 60_000).finally(() => loop.stop());
  const byId = new Map(found.map((item: { id: string }) => [item.id, item]));
  expect(byId.get(`not-asked/site/${siteId}`)).toMatchObject({
    found: expect.stringMatching(/was not asked since 20/),
  });
  expect(byId.has('network/server/db01/network for lan')).toBe(true);
  await stack.startWorkers();
  const after = await risks();
  expect(after).not.toHaveProperty([`not-asked/site/${siteId}`]);
  expect(after).not.toHaveProperty(['network/server/db01/network for lan']);
});

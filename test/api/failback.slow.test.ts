/**
 * There and back: a shop is lost, recovered at the recovery site, protected the other way, brought back by the example runbook, and
 * protected as at first. Seen from the two platforms: which machine runs where, and which bytes are on its disks.
 */
import type { ChildProcess } from 'node:child_process';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { serveApi, type ServedApi } from '../../api/server';
import { writeFaults } from '../../platforms/faults';
import { readEffects } from '../../platforms/simulated/effects';
import { openSimulatedSite } from '../../platforms/simulated/open';
import { seedMachine } from '../../platforms/simulated/seed';
import { changeSettings } from '../../platforms/simulated/site';
import { muster, type Ran } from '../cli/muster';
import { testTemporalAddress } from '../support/temporal';
import { faultsOf, killSiteWorker, siteFolder, siteNames, startSiteWorker } from '../support/two-sites-worker';
import {
  caller,
  eventually,
  openTestStack,
  planProof,
  recoveryTools,
  type Call,
  type Reply,
  type TestStack,
} from './stack';

let stack: TestStack;
let call: Call;
let tools: ReturnType<typeof recoveryTools>;
let served: ServedApi;
let worker: ChildProcess | undefined;

const servers = ['shop-db', 'shop-app'] as const;
const example = join(__dirname, '../../runbooks/failback.yaml');
const restart = async (): Promise<void> => {
  worker = await startSiteWorker({ folder: stack.folder, namespace: stack.namespace, address: testTemporalAddress() });
};

beforeAll(async () => {
  stack = await openTestStack({ siteIds: [...siteNames], planProof });
  call = caller(stack);
  tools = recoveryTools(stack, call);
  served = await serveApi(stack.deps, { host: '127.0.0.1', port: 0 });
  const lans = { production: 'shop-lan', recovery: 'user' };
  for (const id of siteNames) {
    await changeSettings(siteFolder(stack.folder, id), { networks: [{ name: lans[id], isolated: false }] });
  }
  for (const name of servers) {
    await seedMachine(siteFolder(stack.folder, 'production'), { name, network: lans.production });
  }
  await Promise.all([stack.startWorkers({ ofSite: false }), restart()]);
  for (const name of servers) {
    const server = { name, recoverySiteId: 'recovery', source: { siteId: 'production', machineName: name } };
    const times = { objectives: { rpoMs: 60_000, rtoMs: 600_000 }, cadence: { pointEveryMs: 1000 } };
    expect((await call('POST', '/servers', { body: { ...server, ...times } })).status).toBe(201);
    await call('POST', `/servers/${name}/protection`);
  }
  for (const name of servers) await tools.firstPoint(name);
});
afterAll(async () => {
  await killSiteWorker(worker);
  await served?.stop();
  await stack?.close();
});

const cli = (...args: string[]): Promise<Ran> =>
  muster(args, { MUSTER_URL: served.url, MUSTER_TOKEN: stack.tokens.coordinator });

type SiteName = (typeof siteNames)[number];
const site = (id: SiteName) => openSimulatedSite({ id, folder: siteFolder(stack.folder, id) });
/** `name` -> on or off, of every machine that the site has. */
const machinesAt = async (id: SiteName): Promise<Record<string, string>> =>
  Object.fromEntries((await site(id).platform.list()).map(({ name, power }) => [name, power]));

/** In the gap behind the partition table, where nothing of the simulator writes: somebody's data, by their place. */
const placeOf = (text: string): number => 1024 + 64 * Number(/\d+$/.exec(text)![0]);
const diskOf = async (id: SiteName, name: string): Promise<string> =>
  (await site(id).platform.find(name))!.disks[0]!.path;

async function onDisk<T>(path: string, work: (file: Awaited<ReturnType<typeof open>>) => Promise<T>): Promise<T> {
  const file = await open(path, 'r+');
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

const write = async (id: SiteName, name: string, text: string): Promise<void> =>
  onDisk(await diskOf(id, name), async (file) => void (await file.write(text, placeOf(text))));

const read = (path: string, text: string): Promise<string> =>
  onDisk(path, async (file) => {
    const { buffer } = await file.read(Buffer.alloc(text.length), 0, text.length, placeOf(text));
    return buffer.toString();
  });

const start = (name: string): Promise<Reply> => tools.startRunbook(name, { mode: 'recovery', intent: 'disaster' });

async function committed(runId: string): Promise<Reply['body']> {
  const atCommit = async () => {
    const { view } = (await call('GET', `/runs/${runId}`)).body;
    return view?.currentStep === 'commit' && view.state === 'waiting';
  };
  await eventually(atCommit, 90_000);
  const decided = await tools.decide(runId, { step: 'commit', decision: 'commit', reason: 'The shop sells.' });
  expect(decided.body).toMatchObject({ state: 'accepted' });
  return tools.closed(runId);
}

/** The newest complete point of the server at that site, once it was taken after `since`. */
const newPoint = (id: SiteName, name: string, since: string): Promise<string> =>
  eventually(async () => {
    const { items } = (await call('GET', '/servers')).body;
    const serverId = items.find((one: Reply['body']) => one.name === name).id as string;
    const point = (await site(id).replicas.points(serverId)).at(-1);
    if (point === undefined || point.takenAt <= since) return undefined;
    return join(siteFolder(stack.folder, id), 'replicas', serverId, point.disks[0]!.file);
  });

const now = (): string => new Date().toISOString();

test('recovered, protected the other way, brought back with everything written since, and protected as at first', async () => {
  const imported = await cli('runbook', 'import', example);
  expect([imported.exitCode, imported.stdout]).toEqual([0, expect.stringContaining('warning')]);
  expect(imported.stdout.replace(/\s+/g, ' ')).toMatch(
    /"shop-db" protected from production to recovery.*muster protect shop-db --reverse/,
  );

  // Lost, and recovered at the recovery site; one server's replica becomes its disk, the other's machine stands on it.
  const forward = `format: 1
name: shop
title: The shop
networks: { recovery: { shop-lan: user } }
defaults: { hardware: vmware-pvscsi, option: backup-and-recover }
waves: [{ name: all, servers: [{ name: shop-db, option: destructive }, { name: shop-app }] }]
`;
  await tools.imported(forward);
  for (const name of servers) await site('production').platform.power({ name, owner: null }, 'off');
  const lost = await start('shop');
  expect((await committed(lost.body.runId)).view.state).toBe('succeeded');
  expect(await machinesAt('recovery')).toEqual({ 'shop-db-recovered': 'on', 'shop-app-recovered': 'on' });

  // Not before the original site has a replica.
  const tooSoon = await start('failback');
  expect(tooSoon).toMatchObject({ status: 422 });
  expect(tooSoon.body.detail).toMatch(
    /protected from production to recovery, needed a replica at production.*protect shop-db --reverse/,
  );

  for (const name of servers) await write('recovery', `${name}-recovered`, `${name} sold 1`);
  const turned = await cli('protect', 'shop-db', '--reverse', '--reason', 'The hall has power again');
  expect(turned).toMatchObject({ exitCode: 0, stderr: '' });
  expect(turned.stdout).toContain('from shop-db-recovered at recovery to production');
  const reverse = (name: string) =>
    call('POST', `/servers/${name}/protection/reverse`, { body: { reason: 'The hall has power again' } });
  expect(await reverse('shop-app')).toMatchObject({ status: 201, body: { recoverySiteId: 'production' } });
  expect(await reverse('shop-app')).toMatchObject({ status: 200 });
  for (const name of servers) {
    expect(await read(await newPoint('production', name, ''), `${name} sold 1`)).toBe(`${name} sold 1`);
  }
  expect((await cli('runbook', 'check', example)).stdout).toContain('nothing');

  // One source refuses to stop. What the others had done is undone: everything runs where it ran, nothing is left behind.
  await writeFaults(faultsOf(stack.folder), [
    { method: 'power', machine: 'shop-app-recovered', error: 'TransientError', times: 1 },
  ]);
  const refused = (await start('failback')).body.runId as string;
  const parked = await eventually(async () => {
    const { items } = (await call('GET', '/stuck')).body;
    return items.find((one: Reply['body']) => one.step === 'freeze');
  });
  expect(parked.cause).toContain('the source shop-app-recovered did not stop');
  expect(await machinesAt('recovery')).toEqual({ 'shop-db-recovered': 'off', 'shop-app-recovered': 'on' });
  await call('POST', `/runs/${refused}/abort`, { body: { reason: 'It has to be looked at' } });
  expect((await tools.closed(refused)).view.state).toBe('aborted');
  expect(await machinesAt('recovery')).toEqual({ 'shop-db-recovered': 'on', 'shop-app-recovered': 'on' });
  expect(await machinesAt('production')).toEqual({ 'shop-db': 'off', 'shop-app': 'off' });
  await newPoint('production', 'shop-db', now());

  // The worker dies when a source was just stopped and nobody knows it yet.
  await writeFaults(faultsOf(stack.folder), [
    { method: 'power', machine: 'shop-db-recovered', when: 'after', kill: true, times: 1 },
  ]);
  for (const name of servers) await write('recovery', `${name}-recovered`, `${name} sold 2`);
  const begun = now();
  const died = new Promise((resolve) => worker!.once('exit', resolve));
  const back = await cli('run', 'failback', '--mode', 'recovery', '--reason', 'Back to the hall', '--json');
  expect(back).toMatchObject({ exitCode: 0, stderr: '' });
  const runId = (JSON.parse(back.stdout) as { runId: string }).runId;
  await died;
  await restart();
  expect((await committed(runId)).view.state).toBe('succeeded');
  expect(await machinesAt('recovery')).toEqual({ 'shop-db-recovered': 'off', 'shop-app-recovered': 'off' });
  expect(await machinesAt('production')).toEqual({
    ...{ 'shop-db': 'off', 'shop-app': 'off' },
    ...{ 'shop-db-back': 'on', 'shop-app-back': 'on' },
  });
  for (const name of servers) {
    const disk = await diskOf('production', `${name}-back`);
    for (const text of [`${name} sold 1`, `${name} sold 2`]) expect(await read(disk, text)).toBe(text);
  }
  const made = (await readEffects(siteFolder(stack.folder, 'production'))).filter(
    ({ what, at }) => what === 'platform.create' && at > begun,
  );
  expect(made.map(({ target }) => target)).toEqual(['shop-db-back', 'shop-app-back']);

  // As at first.
  for (const name of servers) {
    const since = now();
    await write('production', `${name}-back`, `${name} sold 3`);
    expect(await reverse(name)).toMatchObject({
      status: 201,
      body: { source: { siteId: 'production', machineName: `${name}-back` }, recoverySiteId: 'recovery' },
    });
    expect(await read(await newPoint('recovery', name, since), `${name} sold 3`)).toBe(`${name} sold 3`);
  }
  const rows = (await stack.refusedRows()).filter(({ kind }) => kind === 'protection-reversed');
  expect(rows.map(({ body }) => (JSON.parse(body) as { to: object }).to)).toEqual([
    ...servers.map((name) => ({ siteId: 'recovery', machineName: `${name}-recovered`, recoverySiteId: 'production' })),
    ...servers.map((name) => ({ siteId: 'production', machineName: `${name}-back`, recoverySiteId: 'recovery' })),
  ]);
}, 240_000);

test('a server that no run recovered is not protected the other way', async () => {
  await seedMachine(siteFolder(stack.folder, 'production'), { name: 'mail01', network: 'shop-lan' });
  const source = { siteId: 'production', machineName: 'mail01' };
  const server = { name: 'mail01', source, recoverySiteId: 'recovery', objectives: { rpoMs: 60_000, rtoMs: 600_000 } };
  await call('POST', '/servers', { body: server });
  const refused = await cli('protect', 'mail01', '--reverse', '--reason', 'To see');
  expect(refused.exitCode).not.toBe(0);
  expect(refused.stderr.replace(/\s+/g, ' ')).toMatch(/found no run that recovered it/);
});

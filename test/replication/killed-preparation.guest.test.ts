/** A worker that is killed while its appliance works out an inoculation ahead, and the worker after it. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import type { KeptPreparation } from '../../disks/contract';
import { editorAsARun } from '../disks/editor-as-a-run';
import { hardwareProfiles, type ServerSpec } from '../../model/server';
import type { Preparations } from '../../replication/prepared-contract';
import { sessionQuery, sessionWorkflowId, workflowQueue } from '../../workflows/messages';
import * as make from '../disks/zoo/layouts';
import { zoo } from '../disks/zoo/build.mjs';
import { ines } from '../support/order';
import { openWorld, type World } from '../support/world';
import { preparationsIn, realFolder } from './support/preparing-worker';
import { serverSpec, siteIn, type Site } from './support/site';

jest.setTimeout(1_800_000);

const hardwareId = 'kvm-virtio';
const uuid = '5d000000-0000-4000-8000-000000000001';
const rarely = { pointEveryMs: 6 * 3600_000, freezeEveryMs: 0, keepPoints: 5 };
let world: World;
let site: Site;
let server: ServerSpec;
let disk: string;
let preparations: Preparations;
let worker: ChildProcess | undefined;
let session: WorkflowHandle;

beforeAll(async () => {
  const built = await zoo();
  world = await openWorld({ ownWorkers: true });
  const folder = realFolder(world.folder);
  // The hypervisor's user has to pass.
  chmodSync(world.folder, 0o711);
  mkdirSync(folder, { mode: 0o711 });
  const tree = make.miniSystem(world.folder, join(built.folder, built.miniTar));
  make.fill(tree, { 'etc/fstab': `UUID=${uuid} / ext4 errors=remount-ro 0 1\n` });
  disk = make.bareExt4(join(world.folder, 'system.raw'), 250, tree, uuid);
  site = await siteIn(folder, { sda: disk });
  preparations = preparationsIn(folder);
  const disks = serverSpec()
    .disks.slice(0, 1)
    .map((spec) => ({ ...spec, sizeBytes: 250 * make.MiB }));
  const os = { family: 'linux' as const, distribution: 'debian' };
  server = { ...serverSpec(), os, disks, prepareFor: [hardwareId], cadence: rarely };
});
afterAll(async () => {
  await kill(worker);
  await site?.close();
  await world?.close();
});

async function startWorker(): Promise<ChildProcess> {
  const script = join(__dirname, 'support', 'preparing-worker.ts');
  const child = spawn(process.execPath, ['-r', 'tsx/cjs', script], {
    env: { ...process.env, WORLD: JSON.stringify(world.settings), DISKS: JSON.stringify({ sda: disk }) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`The worker ended with ${String(code)}`))),
  ]);
  return child;
}

async function kill(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** Ends early when the session says that something is wrong. A killed worker is not: its heartbeats are missed. */
async function until(question: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await question())) {
    const running = worker?.exitCode === null && worker.signalCode === null;
    const view = running ? await session.query(sessionQuery).catch(() => null) : null;
    const error = view?.lastError ?? null;
    if (error !== null && !error.startsWith('The worker stopped answering')) throw new Error(error);
    await sleep(200);
  }
}

const names = (folder: string) => (existsSync(folder) ? readdirSync(folder) : []);
/** Programs of any appliance on the overlays of a preparation of this server. */
const appliances = () =>
  execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes('qemu-system') && line.includes(site.place.preparing));

const state = async () => (await site.replicas.view(server.id))?.prepared?.map((entry) => entry.state) ?? [];

async function found(): Promise<KeptPreparation> {
  const kept = await preparations.find(server.id, hardwareId);
  if ('because' in kept) throw new Error(kept.because);
  return kept;
}

test('a worker killed while it prepares leaves no program, and nothing that a run could take for prepared', async () => {
  worker = await startWorker();
  session = await world.client.workflow.start('replicationSession', {
    taskQueue: workflowQueue,
    workflowId: sessionWorkflowId('default', server.id),
    args: [{ tenantId: 'default', coreId: 'core1', server, by: ines }],
  });
  await until(() => appliances().length > 0);
  await kill(worker);
  await until(() => appliances().length === 0);
  expect(names(site.place.preparing)).toHaveLength(1);
  expect(await preparations.find(server.id, hardwareId)).toEqual({ because: 'nothing was prepared' });
  expect(await state()).toEqual([]);
});

test("the next worker's session prepares again, whole, and clears what was left", async () => {
  const [left] = names(site.place.preparing);
  worker = await startWorker();
  await until(async () => (await state()).includes('prepared'));
  await until(() => names(site.place.preparing).length === 0);
  const { folder, files } = await found();
  expect(files).not.toEqual([]);
  for (const { name, sha256 } of files)
    expect(execFileSync('sha256sum', [join(folder, name)], { encoding: 'utf8' })).toContain(sha256);
  expect(names(site.place.prepared).sort()).toEqual([folder.split('/').at(-1), `${hardwareId}.json`].sort());
  expect(folder).not.toContain(left);
});

test('an archive that was cut off since is not used: the inoculation goes the ordinary way and says why', async () => {
  await kill(worker);
  const kept = await found();
  const { name, sizeBytes } = kept.files[0]!;
  truncateSync(join(kept.folder, name), Math.floor(sizeBytes / 2));
  const [overlay, hardware] = [join(world.folder, 'run.qcow2'), hardwareProfiles[hardwareId]!];
  make.quietly('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', disk, '-F', 'raw', overlay]);
  const editor = editorAsARun({ scratchFolder: join(world.folder, 'scratch') });
  const report = await editor.inoculate([make.asDisk(overlay, 0, 'qcow2')], hardware, {
    nics: server.nics,
    prepared: await found(),
  });
  expect(report.prepared).toMatchObject({ used: false, because: `its file ${name} is damaged` });
  expect(report.kernels).toEqual([expect.objectContaining({ how: 'archive-appended' })]);
});

import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hardwareProfiles, type ServerSpec } from '../../model/server';
import type { MachineDisk } from '../../platforms/contract';
import type { TakenDisk } from '../../model/replica';
import { readEffects } from '../../platforms/simulated/effects';
import { lookUpTasks } from '../../platforms/simulated/machines';
import { openSimulatedSite, type SimulatedSite } from '../../platforms/simulated/open';
import { seedMachine } from '../../platforms/simulated/seed';
import { changeSettings } from '../../platforms/simulated/site';
import { expectFailure } from './conformance';

const pvscsi = hardwareProfiles['vmware-pvscsi']!;
const status = { path: '/usr/local/bin/counter-status', args: [], timeoutMs: 1000 };
const runId = 'run-1';
const ref = { name: 'app01-r', owner: { tenantId: 'default', runId } };
const machineSpec = {
  ...ref,
  uuid: '0f8fad5b-d9cb-569f-a165-70867728950e',
  cpuCount: 1,
  memoryBytes: 1024 ** 2,
  firmware: 'bios' as const,
  hardware: pvscsi,
  nics: [{ index: 0, macAddress: '52:54:00:00:00:01', network: 'isolated' }],
};

let folder: string;
let clock: number;
let production: SimulatedSite;
let recovery: SimulatedSite;
let server: ServerSpec;

/** Two sites on one clock that only the test moves. */
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-site-'));
  clock = Date.now();
  const now = () => clock;
  production = openSimulatedSite({ folder: join(folder, 'production'), id: 'production', now });
  recovery = openSimulatedSite({
    ...{ folder: join(folder, 'recovery'), id: 'recovery', now },
    sources: { production: production.source },
  });
  await seedMachine(production.site.folder, { name: 'app01', diskSizesBytes: [128 * 1024, 64 * 1024], now });
  server = {
    ...(await production.source.discover('app01')),
    id: 'server-1',
    name: 'app01',
    tier: 1,
    objectives: { rpoMs: 60_000, rtoMs: 600_000 },
    source: { siteId: 'production', machineName: 'app01' },
    recoverySiteId: 'recovery',
    cadence: { pointEveryMs: 1000, freezeEveryMs: 0, keepPoints: 2 },
    probes: [],
  };
  await recovery.replicas.prepare(server);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const counterOf = async (site: SimulatedSite, name: string) =>
  JSON.parse((await site.platform.runInGuest(name, status)).stdout) as {
    recovered: number;
    current: number;
    chain: string;
  };
const diskOf = (disk: TakenDisk): MachineDisk => ({
  ...{ diskId: disk.diskId, index: disk.index, path: disk.path, format: disk.format },
  sizeBytes: disk.virtualSizeBytes,
});

/** Everything from the frozen point to the machine that has the disks. */
async function recover(options: { inoculate: boolean }): Promise<TakenDisk[]> {
  const point = (await recovery.replicas.points(server.id)).at(-1)!;
  await recovery.replicas.hold(server.id, runId, 'frozen');
  const disks = await recovery.replicas.take(server, point.pointId, 'destructive', runId);
  for (const disk of disks) await recovery.disks.applySignatures(disk);
  if (options.inoculate) await recovery.disks.inoculate(disks, pvscsi);
  await recovery.platform.create(machineSpec);
  for (const disk of disks) {
    await recovery.replicas.handOver(server.id, runId, disk.diskId);
    await recovery.platform.attachDisk(ref, diskOf(disk));
    await recovery.replicas.release(server.id, runId, disk.diskId);
  }
  return disks;
}

test('a recovered machine goes on from the counter of its point, not from what came after', async () => {
  clock += 1_000;
  await recovery.replicas.cycle(server);
  clock += 5_000;
  await recover({ inoculate: true });
  await recovery.platform.power(ref, 'on');
  clock += 500;
  const source = await counterOf(production, 'app01');
  const recovered = await counterOf(recovery, ref.name);
  expect(recovered).toMatchObject({ recovered: 20, current: 30, chain: 'ok' });
  expect(source.current).toBeGreaterThan(recovered.current);
});

test('without inoculation it ends in the initramfs shell and its agent never answers', async () => {
  await recovery.replicas.cycle(server);
  const disks = await recover({ inoculate: false });
  await recovery.platform.power(ref, 'on');
  clock += 3_600_000;
  expect((await recovery.platform.look(ref.name)).consoleText).toMatch(/ALERT!.*does not exist.*\n[^]*\(initramfs\)/);
  await expectFailure(recovery.platform.runInGuest(ref.name, status), 'TransientError', /agent/);
  await recovery.platform.power(ref, 'off');
  for (const disk of disks) await recovery.replicas.takeBack(server.id, runId, disk.diskId);
  await recovery.disks.inoculate(disks, pvscsi);
  for (const disk of disks) await recovery.replicas.handOver(server.id, runId, disk.diskId);
  await recovery.platform.power(ref, 'on');
  expect((await counterOf(recovery, ref.name)).chain).toBe('ok');
});

test('every effect is logged once though every call is made twice', async () => {
  await recovery.replicas.cycle(server);
  await recover({ inoculate: true });
  await recover({ inoculate: true }).catch(() => undefined);
  await recovery.platform.power(ref, 'on');
  await recovery.platform.power(ref, 'on');
  const seen = (await readEffects(recovery.site.folder)).map(({ what, disk }) => `${what} ${disk ?? ''}`);
  expect(seen).toEqual([...new Set(seen)]);
  expect((await readEffects(recovery.site.folder)).find(({ what }) => what === 'platform.power-on')).toMatchObject({
    ...{ target: ref.name, runId, tenantId: 'default' },
  });
});

test('points keep no signature, stand on each other, and the oldest is merged', async () => {
  const reports = [];
  for (let round = 0; round < 3; round++) {
    clock += 1_000;
    reports.push(await recovery.replicas.cycle(server, { freezeFilesystems: round === 1 }));
  }
  expect(reports.map(({ merged }) => merged)).toEqual([null, null, reports[0]!.manifest.pointId]);
  expect(reports.map(({ copiedBytes }) => copiedBytes)).toEqual([192 * 1024, 8192, 8192]);
  expect(reports.map(({ manifest }) => manifest.consistency)).toEqual(['crash', 'file-system', 'crash']);
  const points = await recovery.replicas.points(server.id);
  expect(points.map(({ pointId }) => pointId)).toEqual(reports.slice(1).map(({ manifest }) => manifest.pointId));
  const [disk] = await recovery.replicas.take(server, points[0]!.pointId, 'backup-and-recover', runId);
  expect((await recovery.disks.volumes(disk!)).map(({ type }) => type)).toEqual([null]);
  expect((await recovery.disks.applySignatures(disk!)).map(({ type }) => type)).toEqual(['ext4']);
  await recovery.disks.removeSignatures(disk!);
  expect((await recovery.disks.volumes(disk!)).map(({ type }) => type)).toEqual([null]);
  expect((await recovery.replicas.cycle(server)).merged).toBeNull();
});

test('a damaged point and all that stand on it are not offered', async () => {
  server = { ...server, cadence: { ...server.cadence, keepPoints: 9 } };
  const made = [];
  for (let round = 0; round < 3; round++) made.push((await recovery.replicas.cycle(server)).manifest);
  await truncate(join(recovery.site.folder, 'replicas', server.id, made[1]!.disks[0]!.file), 4096);
  expect((await recovery.replicas.points(server.id)).map(({ pointId }) => pointId)).toEqual([made[0]!.pointId]);
  const next = await recovery.replicas.cycle(server);
  expect(next.manifest.parentPointId).toBe(made[0]!.pointId);
  expect(await recovery.replicas.points(server.id)).toHaveLength(2);
});

test('a held replica takes no cycle, no second run, and is not removed', async () => {
  await recovery.replicas.cycle(server);
  await recovery.replicas.hold(server.id, runId, 'frozen');
  await recovery.replicas.hold(server.id, runId, 'frozen');
  await expectFailure(recovery.replicas.cycle(server), 'OperatorError', /run-1 holds it frozen/);
  await expectFailure(recovery.replicas.hold(server.id, 'run-2', 'frozen'), 'OperatorError', /run-1/);
  await expectFailure(recovery.replicas.remove(server.id), 'OperatorError', /run-1/);
  await recovery.replicas.letGo(server.id, 'run-2');
  expect((await recovery.replicas.view(server.id))?.heldBy).toBe(runId);
  await recovery.replicas.letGo(server.id, runId);
  await recovery.replicas.cycle(server);
  await recovery.replicas.remove(server.id);
  await recovery.replicas.remove(server.id);
  expect(await recovery.replicas.views()).toEqual([]);
});

test('the target server holds a disk until it is handed over, and one that does not let go is restarted', async () => {
  await recovery.replicas.cycle(server);
  await writeFile(join(recovery.site.folder, 'stubborn-target-server'), '');
  const point = (await recovery.replicas.points(server.id)).at(-1)!;
  const disks = await recovery.replicas.take(server, point.pointId, 'destructive', runId);
  await recovery.platform.create(machineSpec);
  for (const disk of disks) await recovery.platform.attachDisk(ref, diskOf(disk));
  await expectFailure(recovery.platform.power(ref, 'on'), 'OperatorError', /target-server:server-1/);
  for (const { diskId } of disks) {
    await recovery.replicas.handOver(server.id, runId, diskId);
    expect(await recovery.replicas.release(server.id, runId, diskId)).toEqual({ restarted: true });
    expect(await recovery.replicas.release(server.id, runId, diskId)).toEqual({ restarted: false });
  }
  await recovery.platform.power(ref, 'on');
  await expectFailure(recovery.replicas.drop(server.id, runId), 'OperatorError', /machine:app01-r/);
  await expectFailure(recovery.replicas.takeBack(server.id, runId, 'disk0'), 'OperatorError', /machine:app01-r/);
  await expectFailure(recovery.disks.removeSignatures(disks[0]!), 'OperatorError', /machine:app01-r/);
});

test('a committed recovery leaves the machine on its base and nothing of the replica', async () => {
  await recovery.replicas.cycle(server);
  const disks = await recover({ inoculate: true });
  await recovery.platform.power(ref, 'on');
  for (const { diskId, basePath } of await recovery.replicas.beginCommit(server.id, runId)) {
    await recovery.platform.mergeDisk(ref, diskOf(disks.find((disk) => disk.diskId === diskId)!), basePath);
  }
  await recovery.replicas.finishCommit(server.id, runId);
  await recovery.replicas.finishCommit(server.id, runId);
  expect(await readdir(join(recovery.site.folder, 'replicas'))).toEqual([]);
  await recovery.platform.power(ref, 'off');
  await recovery.platform.power(ref, 'on');
  expect((await counterOf(recovery, ref.name)).chain).toBe('ok');
});

test('dropping what a run took leaves the points as they were', async () => {
  await recovery.replicas.cycle(server);
  const before = await recovery.replicas.points(server.id);
  await recovery.replicas.take(server, before[0]!.pointId, 'destructive', runId);
  await recovery.replicas.drop(server.id, runId);
  await recovery.replicas.drop(server.id, runId);
  expect(await recovery.replicas.points(server.id)).toEqual(before);
  expect(await readdir(join(recovery.site.folder, 'replicas', server.id, 'runs'))).toEqual([]);
});

test('a source that is gone keeps a cycle waiting until its signal fires, and nobody else', async () => {
  await recovery.replicas.cycle(server);
  await writeFile(join(production.site.folder, 'offline'), 'hang');
  const reason = new Error('deadline');
  const controller = new AbortController();
  const cycle = recovery.replicas.cycle(server, { signal: controller.signal });
  await recovery.replicas.hold(server.id, runId, 'frozen');
  controller.abort(reason);
  await expect(cycle).rejects.toBe(reason);
  await writeFile(join(production.site.folder, 'offline'), 'fail');
  await expectFailure(production.platform.health(), 'TransientError', /does not answer/);
  await rm(join(production.site.folder, 'offline'));
  expect((await production.platform.health()).kind).toBe('simulated');
});

test('full storage stops cycles and overlays with a remedy', async () => {
  await recovery.replicas.cycle(server);
  const point = (await recovery.replicas.points(server.id)).at(-1)!;
  await changeSettings(recovery.site.folder, { capacityBytes: 200 * 1024 });
  await expectFailure(recovery.replicas.cycle(server), 'OperatorError', /storage of site recovery is full/);
  const take = recovery.replicas.take(server, point.pointId, 'destructive', runId);
  await expectFailure(take, 'OperatorError', /Free or add storage/);
  expect(await recovery.replicas.freeBytes()).toBeLessThan(200 * 1024);
});

test('a task takes its time, can be looked up, and ends though nobody waits for it', async () => {
  await changeSettings(recovery.site.folder, { taskMs: 1_000 });
  const reason = new Error('gone');
  const controller = new AbortController();
  const create = recovery.platform.create(machineSpec, { signal: controller.signal });
  const running = async () => (await lookUpTasks(recovery.site, ref.name)).running;
  while (!(await running())) await new Promise(setImmediate);
  controller.abort(reason);
  await expect(create).rejects.toBe(reason);
  expect(await recovery.platform.find(ref.name)).toBeUndefined();
  clock += 1_000;
  expect((await recovery.platform.find(ref.name))?.uuid).toBe(machineSpec.uuid);
  expect((await lookUpTasks(recovery.site, ref.name)).last?.what).toBe('platform.create');
  await recovery.platform.create(machineSpec);
  const creations = (await readEffects(recovery.site.folder)).filter(({ what }) => what === 'platform.create');
  expect(creations).toHaveLength(1);
});

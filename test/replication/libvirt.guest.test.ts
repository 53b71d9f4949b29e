/** A real guest, protected while its counter runs, and lost. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PointManifest } from '../../model/replica';
import type { CycleOptions } from '../../replication/contract';
import { createLibvirtSource } from '../../replication/libvirt-source';
import { placeOf } from '../../replication/place';
import { createReplicas } from '../../replication/replicas';
import { stopTargetServer, targetPid } from '../../replication/target-server';
import { eventually } from '../system/support/system';
import { startDemoMachine, virsh } from './support/demo-machine';
import { freezeAndDie, freezeStatus, untilThawed, watchdogsOf } from './support/left-frozen';
import { serverSpec } from './support/site';
import { exitCodeOf, patched, same, sh, typeAt } from './support/tools';

// Longer than what it waits for in sum: what it waited for in vain says more than that the time was over.
jest.setTimeout(2_400_000);

test('points of a running guest hold exactly its disk, are not recognisable, and outlive it', async () => {
  const { imagePath } = JSON.parse(await sh('node', 'tools/demo-guest/build.mjs', '--status')) as { imagePath: string };
  const folder = await mkdtemp(join(tmpdir(), 'muster-replica-'));
  await chmod(folder, 0o755);
  const machine = await startDemoMachine(folder, imagePath);
  const place = placeOf(join(folder, 'replicas'), join(folder, 'run'), 'server-1');
  try {
    let elapsedMs = 0;
    const source = createLibvirtSource({ uri: 'qemu:///system', clock: Date.now, elapsed: () => elapsedMs });
    const settings = { folder: join(folder, 'replicas'), runtimeFolder: join(folder, 'run'), source };
    const replicas = createReplicas({ ...settings, siteId: 'recovery', clock: Date.now });
    /** A guest that still boots has no time for its agent. */
    const counting = async () => {
      await machine.started();
      await eventually('the service counts', 300_000, () => machine.counter().catch(() => undefined));
    };
    await counting();
    // A busy agent says nothing of its system.
    const found = await eventually('its system is known', 120_000, async () => {
      const seen = await source.discover(machine.name);
      return seen.os.family === 'unknown' ? undefined : seen;
    });
    expect(found).toMatchObject({ os: { family: 'linux', distribution: 'debian' }, firmware: 'bios' });
    expect(found.disks).toMatchObject([
      { id: 'disk0', controller: 'sata', sourceDevice: 'sda', sizeBytes: 3 * 2 ** 30 },
    ]);
    const server = { ...serverSpec(), ...found, source: { siteId: 'source', machineName: machine.name } };
    const truths = new Map<string, string>();
    const cycle = async (options: CycleOptions) => (await replicas.cycle(server, options)).manifest;
    const frozen = (options: CycleOptions = {}) => untilFrozen(() => cycle({ ...options, freezeFilesystems: true }));
    /** With the machine's CPUs stopped, its disk stands still for an independent copy. */
    const stopped = async () => {
      await virsh('suspend', machine.name);
      const manifest = await cycle({ freezeFilesystems: false });
      const truth = join(folder, `truth-${manifest.sequence}.qcow2`);
      await sh('qemu-img', 'convert', '-U', '-O', 'qcow2', machine.disk, truth);
      truths.set(manifest.pointId, truth);
      await virsh('resume', machine.name);
      return manifest;
    };
    await replicas.prepare(server);
    const first = (await frozen()).at(-1)!;
    expect(first.consistency).toBe('file-system');
    expect(first.clockSkewMs).not.toBeNull();
    expect(Math.abs(first.clockSkewMs!)).toBeLessThan(120_000);
    expect(first.disks[0]!.signatures.map((signature) => signature.type)).toEqual(['ext4', 'ext4']);
    expect((await stopped()).consistency).toBe('crash');
    expect(await freezeStatus(machine.name)).toBe('thawed');
    const counted = await machine.counter();
    const killed = Promise.allSettled([replicas.cycle(server, { freezeFilesystems: true })]);
    process.kill((await targetPid(place))!, 'SIGKILL');
    await killed;
    expect((await frozen()).at(-1)!.consistency).toBe('file-system');
    expect(await machine.counter()).toBeGreaterThan(counted);
    await stopped();
    expect(await source.checkpoints(machine.name)).toHaveLength(1);

    // Its worker is killed while the guest is frozen: the watchdog that the worker left thaws it.
    expect(await freezeAndDie(machine.name, 20_000)).toBe('frozen');
    await untilThawed(machine.name);
    const watchdogs = () => watchdogsOf(machine.name);
    await eventually('it has ended', 120_000, async () => (await watchdogs()).length === 0 || undefined);
    const thawedAt = await machine.counter();
    // The watchdog is killed, too: the next point of any worker thaws it, also of one that knew it thawed long ago.
    expect(await freezeAndDie(machine.name, 3_600_000)).toBe('frozen');
    const left = await watchdogs();
    expect(left).toHaveLength(1);
    for (const pid of left) process.kill(pid, 'SIGKILL');
    expect(await freezeStatus(machine.name)).toBe('frozen');
    // Or the one after it, where a busy guest did not say that it is frozen.
    for (let tries = 1; tries <= 3 && (await freezeStatus(machine.name)) === 'frozen'; tries++) {
      elapsedMs += 60_000;
      await cycle({ freezeFilesystems: false });
    }
    expect(await freezeStatus(machine.name)).toBe('thawed');
    while ((await machine.counter()) <= thawedAt) await sleep(500);

    await machine.pullThePlug();
    await expect(replicas.cycle(server)).rejects.toMatchObject({ family: 'TransientError' });
    const points = await replicas.points(server.id);
    expect(points.length).toBeGreaterThanOrEqual(4);
    for (const point of points) expect(await faultsOf(folder, point, truths.get(point.pointId))).toEqual([]);

    // The bitmap went with the machine: the checkpoint is lost, and a full copy begins a new chain.
    await virsh('start', machine.name);
    // Of a guest that only starts there is no copy before its agent: libvirt would not hear of one that comes meanwhile.
    await expect(frozen({ agentFirst: true })).rejects.toThrow('AgentToCome');
    await counting();
    const again = await frozen({ agentFirst: true });
    const newest = again.at(-1)!;
    expect(again[0]!.parentPointId).toBeNull();
    expect(newest.consistency).toBe('file-system');
    expect(await freezeStatus(machine.name)).toBe('thawed');
    expect(await replicas.points(server.id)).toHaveLength(points.length + again.length);
    expect(await faultsOf(folder, newest, undefined)).toEqual([]);

    // Shut down on purpose: its last writes come over from the machine that is off, and its guest does not run for it.
    await machine.shutDown();
    const asLeft = join(folder, 'as-left.qcow2');
    await sh('qemu-img', 'convert', '-O', 'qcow2', machine.disk, asLeft);
    await expect(replicas.cycle(server)).rejects.toMatchObject({ family: 'TransientError' });
    const last = await cycle({ ofStoppedMachine: true });
    expect(last).toMatchObject({ parentPointId: newest.pointId, consistency: 'application' });
    expect(await virsh('domstate', machine.name)).toBe('shut off');
    expect(await faultsOf(folder, last, asLeft)).toEqual([]);
    expect(await same(machine.disk, 'qcow2', asLeft, 'qcow2')).toBe(true);
    await replicas.remove(server.id);
    expect(await source.checkpoints(machine.name)).toEqual([]);
    expect(await targetPid(place)).toBeUndefined();
  } finally {
    await machine.close();
    await stopTargetServer(place);
    await rm(folder, { recursive: true, force: true });
  }
});

/** Points until one of frozen file systems, three at most: a busy guest does not always freeze in the ten seconds that it is given. */
async function untilFrozen(take: () => Promise<PointManifest>): Promise<PointManifest[]> {
  const points = [await take()];
  while (points.at(-1)!.consistency === 'crash' && points.length < 3) points.push(await take());
  return points;
}

/** What is wrong with the point by qemu-img, blkid and e2fsck. */
async function faultsOf(folder: string, point: PointManifest, truth: string | undefined): Promise<string[]> {
  const faults: string[] = [];
  const disk = point.disks[0]!;
  const layer = join(folder, 'replicas', 'server-1', disk.file);
  const raw = join(folder, 'view.raw');
  await sh('qemu-img', 'convert', '-O', 'raw', layer, raw);
  if (!(await sh('sha256sum', layer)).startsWith(disk.sha256)) faults.push(`point ${point.sequence}: digest`);
  for (const { partition, volumeOffsetBytes: at, volumeSizeBytes: size } of disk.signatures) {
    if ((await typeAt(raw, at, size)) !== '')
      faults.push(`point ${point.sequence}: volume ${partition} is recognisable`);
  }
  const whole = await patched(
    raw,
    disk.signatures.flatMap((signature) => signature.pieces),
  );
  if (truth !== undefined && !(await same(whole, 'raw', truth, 'qcow2')))
    faults.push(`point ${point.sequence}: differs`);
  for (const { partition, volumeOffsetBytes: at, volumeSizeBytes: size } of disk.signatures) {
    // A file of its own: after replaying a journal e2fsck opens the volume again and forgets an offset.
    const volume = join(folder, 'volume.raw');
    const flags = ['iflag=skip_bytes,count_bytes', 'conv=sparse', 'bs=1M', 'status=none'];
    await sh('dd', `if=${whole}`, `of=${volume}`, `skip=${at}`, `count=${size}`, ...flags);
    // A frozen or unmounted filesystem is clean as it is; a crash-consistent one after its journal was replayed.
    const how = point.consistency === 'crash' ? '-fy' : '-fn';
    const code = await exitCodeOf('e2fsck', how, volume);
    if (code !== 0 && !(how === '-fy' && code === 1))
      faults.push(`point ${point.sequence}: e2fsck ${partition}: ${code}`);
    await rm(volume);
  }
  await rm(raw);
  await rm(whole);
  return faults;
}

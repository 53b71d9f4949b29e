/** A real guest, protected while its counter runs, and lost. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PointManifest } from '../../model/replica';
import { createLibvirtSource } from '../../replication/libvirt-source';
import { placeOf } from '../../replication/place';
import { createReplicas } from '../../replication/replicas';
import { stopTargetServer, targetPid } from '../../replication/target-server';
import { startDemoMachine, virsh } from './support/demo-machine';
import { freezeAndDie, freezeStatus, untilThawed, watchdogsOf } from './support/left-frozen';
import { serverSpec } from './support/site';
import { exitCodeOf, patched, same, sh, typeAt } from './support/tools';

jest.setTimeout(600_000);

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
    await machine.started();
    const found = await source.discover(machine.name);
    expect(found).toMatchObject({ os: { family: 'linux', distribution: 'debian' }, firmware: 'bios' });
    expect(found.disks).toMatchObject([
      { id: 'disk0', controller: 'sata', sourceDevice: 'sda', sizeBytes: 3 * 2 ** 30 },
    ]);
    const server = { ...serverSpec(), ...found, source: { siteId: 'source', machineName: machine.name } };
    const truths = new Map<string, string>();
    const frozen = () => replicas.cycle(server, { freezeFilesystems: true });
    /** With the machine's CPUs stopped, its disk stands still for an independent copy. */
    const stopped = async () => {
      await virsh('suspend', machine.name);
      const { manifest } = await replicas.cycle(server, { freezeFilesystems: false });
      const truth = join(folder, `truth-${manifest.sequence}.qcow2`);
      await sh('qemu-img', 'convert', '-U', '-O', 'qcow2', machine.disk, truth);
      truths.set(manifest.pointId, truth);
      await virsh('resume', machine.name);
      return manifest;
    };
    await replicas.prepare(server);
    const first = (await frozen()).manifest;
    expect(first.consistency).toBe('file-system');
    expect(Math.abs(first.clockSkewMs!)).toBeLessThan(120_000);
    expect(first.disks[0]!.signatures.map((signature) => signature.type)).toEqual(['ext4', 'ext4']);
    expect((await stopped()).consistency).toBe('crash');
    expect(await virsh('qemu-agent-command', machine.name, '{"execute":"guest-fsfreeze-status"}')).toContain('thawed');
    const counted = await machine.counter();
    const killed = Promise.allSettled([replicas.cycle(server, { freezeFilesystems: true })]);
    process.kill((await targetPid(place))!, 'SIGKILL');
    await killed;
    expect((await frozen()).manifest.consistency).toBe('file-system');
    expect(await machine.counter()).toBeGreaterThan(counted);
    await stopped();
    expect(await source.checkpoints(machine.name)).toHaveLength(1);

    // Its worker is killed while the guest is frozen: the watchdog that the worker left thaws it.
    expect(await freezeAndDie(machine.name, 20_000)).toBe('frozen');
    await untilThawed(machine.name);
    const thawedAt = await machine.counter();
    // The watchdog is killed, too: the next point of any worker thaws it, also of one that knew it thawed long ago.
    expect(await freezeAndDie(machine.name, 3_600_000)).toBe('frozen');
    const watchdogs = await watchdogsOf(machine.name);
    expect(watchdogs).toHaveLength(1);
    for (const pid of watchdogs) process.kill(pid, 'SIGKILL');
    expect(await freezeStatus(machine.name)).toBe('frozen');
    elapsedMs += 60_000;
    await replicas.cycle(server, { freezeFilesystems: false });
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
    const asStarted = () => replicas.cycle(server, { freezeFilesystems: true, agentFirst: true });
    await expect(asStarted()).rejects.toThrow('AgentToCome');
    await machine.started();
    const again = await asStarted();
    expect(again.manifest).toMatchObject({ parentPointId: null, consistency: 'file-system' });
    expect(await freezeStatus(machine.name)).toBe('thawed');
    expect(await replicas.points(server.id)).toHaveLength(points.length + 1);
    expect(await faultsOf(folder, again.manifest, undefined)).toEqual([]);

    // Shut down on purpose: its last writes come over from the machine that is off, and its guest does not run for it.
    await machine.shutDown();
    const asLeft = join(folder, 'as-left.qcow2');
    await sh('qemu-img', 'convert', '-O', 'qcow2', machine.disk, asLeft);
    await expect(replicas.cycle(server)).rejects.toMatchObject({ family: 'TransientError' });
    const last = (await replicas.cycle(server, { ofStoppedMachine: true })).manifest;
    expect(last).toMatchObject({ parentPointId: again.manifest.pointId, consistency: 'application' });
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

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { execFile, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PointManifest } from '../../model/replica';
import { writePieces, clearPieces, findVolumes, signaturePieces } from '../../disks/signatures';
import { readRun, markDisk } from '../../replication/run-record';
import { allFaults, openSite, type Site } from './support/site';
import { exitCodeOf, same, sh, write } from './support/tools';

jest.setTimeout(120_000);

let site: Site;
let point: PointManifest;
beforeEach(async () => {
  site = await openSite(2);
  await site.replicas.prepare(site.server);
  await site.replicas.cycle(site.server);
  point = (await site.replicas.cycle(site.server)).manifest;
});
afterEach(() => site.close());

const id = 'server-1';
const take = (runId = 'run-1', pointId = point.pointId) =>
  site.replicas.take(site.server, pointId, 'backup-and-recover', runId);

test('edits go to the overlay and never to the point, and dropping it leaves nothing', async () => {
  const [disk] = await take();
  expect(await exitCodeOf('qemu-io', '-f', 'raw', '-c', 'write -P 5 3M 64k', disk!.editUri)).toBe(0);
  expect(await take()).toEqual(await take());
  expect(await exitCodeOf('qemu-io', '-f', 'raw', '-c', 'read -P 5 3M 64k', disk!.editUri)).toBe(0);
  expect(await allFaults(site)).toEqual([]);
  await site.replicas.drop(id, 'run-1');
  await site.replicas.drop(id, 'run-1');
  expect(existsSync(join(site.place.runs, 'run-1'))).toBe(false);
  expect(await allFaults(site)).toEqual([]);
});

test('signatures put into the overlay make its volumes recognisable, and taken out again they are not', async () => {
  const [disk] = await take();
  const image = { uri: disk!.editUri, format: 'raw' as const };
  const types = async () => (await findVolumes(image)).map((volume) => volume.type);
  expect(await types()).toEqual([null, null]);
  await writePieces(image, signaturePieces(disk!.signatures));
  expect(await types()).toEqual(['ext4', 'swap']);
  await clearPieces(image, signaturePieces(disk!.signatures));
  expect(await types()).toEqual([null, null]);
});

test('no merge touches the chain under a run, and it is caught up when the run is gone', async () => {
  await take();
  await site.replicas.cycle(site.server);
  expect((await site.replicas.cycle(site.server)).merged).toBeNull();
  await expect(site.replicas.remove(id)).rejects.toMatchObject({ family: 'OperatorError' });
  await site.replicas.drop(id, 'run-1');
  expect((await site.replicas.cycle(site.server)).merged).not.toBeNull();
  expect(await allFaults(site)).toEqual([]);
});

test('a disk that was handed over can be opened by a machine, and taken back afterwards', async () => {
  const [disk] = await take();
  expect(await exitCodeOf('qemu-io', '-c', 'write 0 512', disk!.path)).not.toBe(0);
  const given = await site.replicas.handOver(id, 'run-1', 'disk0');
  expect(await site.replicas.handOver(id, 'run-1', 'disk0')).toEqual(given);
  expect(given.editUri).toBe(`file:${disk!.path}`);
  expect(await site.replicas.release(id, 'run-1', 'disk0')).toEqual({ restarted: false });
  await write(disk!.path, 6, '5M', '64k');
  expect(await site.replicas.takeBack(id, 'run-1', 'disk0')).toEqual(disk);
  expect(await exitCodeOf('qemu-io', '-f', 'raw', '-c', 'read -P 6 5M 64k', disk!.editUri)).toBe(0);
});

test('a target server that does not let go is restarted, and other disks stay where they were', async () => {
  const [disk, other] = await take();
  // The record says handed over while the target server still has it open: what a crash between the two leaves.
  await markDisk(site.place, (await readRun(site.place, 'run-1'))!, 'disk0', 'handed-over');
  expect(await site.replicas.release(id, 'run-1', 'disk0')).toEqual({ restarted: true });
  expect(await exitCodeOf('qemu-io', '-c', 'read 0 512', disk!.path)).toBe(0);
  expect(await exitCodeOf('qemu-io', '-f', 'raw', '-c', 'read 0 512', other!.editUri)).toBe(0);
});

test('somebody else who has the disk open is named, and the overlay is not deleted under them', async () => {
  const [disk] = await take();
  await site.replicas.handOver(id, 'run-1', 'disk0');
  const holder = await holdOpen(disk!.path);
  const refusal = { family: 'OperatorError', message: expect.stringContaining(`process ${holder.pid}`) };
  await expect(site.replicas.release(id, 'run-1', 'disk0')).rejects.toMatchObject(refusal);
  await expect(site.replicas.takeBack(id, 'run-1', 'disk0')).rejects.toMatchObject(refusal);
  await expect(site.replicas.drop(id, 'run-1')).rejects.toMatchObject(refusal);
  expect(existsSync(disk!.path)).toBe(true);
  const ended = once(holder, 'exit');
  holder.kill('SIGKILL');
  await ended;
  await site.replicas.drop(id, 'run-1');
});

test('a committed recovery leaves the base to the machine and ends the replica', async () => {
  await site.replicas.hold(id, 'run-1', 'suspended');
  const [disk] = await take();
  await site.replicas.handOver(id, 'run-1', 'disk0');
  await site.replicas.handOver(id, 'run-1', 'disk1');
  await write(disk!.path, 8, '7M', '64k');
  const copy = join(site.folder, 'machine.qcow2');
  await exitCodeOf('qemu-img', 'convert', '-O', 'qcow2', disk!.path, copy);
  const merges = await site.replicas.beginCommit(id, 'run-1');
  expect(await site.replicas.beginCommit(id, 'run-1')).toEqual(merges);
  expect(await site.replicas.points(id)).toEqual([]);
  for (const { overlayPath, basePath } of merges) {
    expect(await exitCodeOf('qemu-img', 'commit', '-q', '-b', basePath, overlayPath)).toBe(0);
  }
  await site.replicas.finishCommit(id, 'run-1');
  await site.replicas.finishCommit(id, 'run-1');
  expect(await same(merges[0]!.basePath, 'qcow2', copy, 'qcow2')).toBe(true);
  await expect(site.replicas.prepare(site.server)).rejects.toMatchObject({ family: 'OperatorError' });
  await site.replicas.remove(id);
  expect(existsSync(merges[0]!.basePath)).toBe(true);

  // The server is back where it ran before, and protected again: the machine that is left here keeps its disks.
  const asLeft = await Promise.all(merges.map(({ basePath }) => sh('sha256sum', basePath)));
  await site.source.forgetCheckpoints();
  await site.replicas.prepare(site.server);
  await site.replicas.prepare(site.server);
  for (const pattern of [9, 10]) {
    await write(await site.source.live('sda'), pattern, '8M', '64k');
    await site.replicas.cycle(site.server);
  }
  expect(await site.replicas.points(id)).toHaveLength(2);
  expect(await allFaults(site)).toEqual([]);
  expect((await site.replicas.view(id))!.state).toBe('replicating');

  // Lost once more, and given to a second machine: the first one's disks are none of that.
  await site.replicas.hold(id, 'run-2', 'suspended');
  const latest = (await site.replicas.points(id)).at(-1)!;
  await site.replicas.take(site.server, latest.pointId, 'destructive', 'run-2');
  for (const disk of ['disk0', 'disk1']) await site.replicas.handOver(id, 'run-2', disk);
  const second = await site.replicas.beginCommit(id, 'run-2');
  await site.replicas.finishCommit(id, 'run-2');
  await site.replicas.remove(id);
  const kept = [...merges, ...second].map(({ basePath }) => basePath);
  expect(new Set(kept).size).toBe(4);
  expect(readdirSync(site.place.layers).map((name) => join(site.place.layers, name))).toEqual(kept.sort());
  expect(await Promise.all(merges.map(({ basePath }) => sh('sha256sum', basePath)))).toEqual(asLeft);
});

test('a commit beside disks of another run, which may be a rehearsal that cleans up, says whose they are and is tried again', async () => {
  await take('rehearsal');
  await site.replicas.take(site.server, point.pointId, 'destructive', 'run-1');
  await expect(site.replicas.beginCommit(id, 'run-1')).rejects.toMatchObject({
    family: 'TransientError',
    message: expect.stringMatching(/also in use by run rehearsal.*`muster abort rehearsal --reason …`/),
  });
  expect(await site.replicas.points(id)).toHaveLength(2);
  await site.replicas.drop(id, 'rehearsal');
  expect(await site.replicas.beginCommit(id, 'run-1')).toHaveLength(2);
});

test('an unknown point and a replica held by another run are refused with what to do', async () => {
  await expect(take('run-1', 'no-such-point')).rejects.toMatchObject({
    family: 'OperatorError',
    message: expect.stringContaining('point=latest'),
  });
  await site.replicas.hold(id, 'run-2', 'frozen');
  await expect(take()).rejects.toMatchObject({ family: 'OperatorError', message: expect.stringContaining('run-2') });
});

/** A process that has the image open for writing. */
async function holdOpen(path: string): Promise<ChildProcess> {
  for (;;) {
    const child = execFile('qemu-io', ['-f', 'qcow2', path]);
    // The look below may have the lock at the moment at which the child wants it; then the child ends, and is started anew.
    while (child.exitCode === null) {
      if ((await exitCodeOf('qemu-io', '-f', 'qcow2', '-c', 'read 0 512', path)) !== 0) return child;
      await sleep(20);
    }
  }
}

/**
 * Storage of replicas that is full, read-only or not what it should be: real filesystems, mounted for the test. Nothing
 * that was complete is changed, the message says where and what to do, and when the storage is mended the same call works.
 */
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exitCodeOf, sh } from '../replication/support/tools';
import { openSmallReplica, pointId, server, type SmallReplica } from './support/small-replica';

// Generous: the machine may be busy with other suites.
jest.setTimeout(120_000);

let mount: string;
let replica: SmallReplica;
beforeEach(async () => {
  mount = await mkdtemp(join(tmpdir(), 'muster-storage-'));
  await sh('mount', '-t', 'tmpfs', '-o', 'size=8m,mode=0711', 'muster-test', mount);
  replica = await openSmallReplica({ folder: mount });
});
afterEach(async () => {
  await sh('mount', '-o', 'remount,rw', mount);
  await replica.close();
  expect(await exitCodeOf('umount', mount)).toBe(0);
  await rm(mount, { recursive: true });
});

const cycle = () => replica.replicas.cycle(server);
const take = () => replica.replicas.take(server, pointId(3), 'backup-and-recover', 'run-a');
const fill = () => exitCodeOf('dd', 'if=/dev/zero', `of=${join(mount, 'filler')}`, 'bs=64k', 'status=none');

test('a full storage lets no cycle and no run begin, says so, and both go on when space was made', async () => {
  const before = await replica.digests();
  await fill();
  await expect(cycle()).rejects.toMatchObject({
    family: 'TransientError',
    message: expect.stringMatching(/storage of the replica cannot be used: .*found no space left, needed a folder/),
    facts: { remedy: expect.stringContaining('Free space there') },
  });
  await expect(take()).rejects.toMatchObject({
    family: 'TransientError',
    message: expect.stringContaining('no space left'),
  });
  const { points } = (await replica.replicas.view(server.id))!;
  expect(points).toHaveLength(3);
  expect(await replica.digests()).toMatchObject(before);
  await rm(join(mount, 'filler'));
  expect(await take()).toHaveLength(2);
  await replica.replicas.drop(server.id, 'run-a');
  expect((await cycle()).manifest.sequence).toBe(4);
  expect(await replica.digests()).toMatchObject(before);
});

test('a read-only storage stops cycles and runs with what to do, and shows its points all the same', async () => {
  const before = await replica.digests();
  await sh('mount', '-o', 'remount,ro', mount);
  for (const call of [cycle, take, () => replica.replicas.hold(server.id, 'run-a', 'frozen')]) {
    await expect(call()).rejects.toMatchObject({
      family: 'OperatorError',
      message: expect.stringContaining('found a read-only filesystem'),
      facts: { remedy: expect.stringContaining('mount it writable') },
    });
  }
  expect((await replica.replicas.view(server.id))!.points).toHaveLength(3);
  expect(await replica.digests()).toEqual(before);
  await sh('mount', '-o', 'remount,rw', mount);
  expect(await take()).toHaveLength(2);
  await replica.replicas.drop(server.id, 'run-a');
});

test('a file in place of a folder is named', async () => {
  const before = await replica.digests();
  await rename(replica.place.runs, `${replica.place.runs}.away`).catch(() => undefined);
  await writeFile(replica.place.runs, '');
  await expect(take()).rejects.toMatchObject({
    family: 'OperatorError',
    message: expect.stringContaining('a file where a folder belongs'),
  });
  expect(await replica.digests()).toEqual(before);
  await rm(replica.place.runs);
  await mkdir(replica.place.runs);
  expect(await take()).toHaveLength(2);
  await replica.replicas.drop(server.id, 'run-a');
});

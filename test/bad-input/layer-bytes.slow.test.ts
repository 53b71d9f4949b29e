/** Layers whose first bytes are right and whose content is not: only reading them shows it. */
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { sh } from '../replication/support/tools';
import { openSmallReplica, pointId, server, type SmallReplica } from './support/small-replica';

// Generous: the machine may be busy with other suites.
jest.setTimeout(120_000);

let replica: SmallReplica;
beforeEach(async () => {
  replica = await openSmallReplica();
});
afterEach(() => replica.close());

const examine = (sequence: number, limitBytes: number | null = null) =>
  replica.replicas.examine(server.id, pointId(sequence), { limitBytes });

async function flip(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  byte[0]! ^= 0x10;
  await file.write(byte, 0, 1, at);
  await file.close();
}

test('a whole chain is read once and found as it was copied', async () => {
  const files = [1, 2, 3].flatMap((n) => [replica.layer(n, 'disk0'), replica.layer(n, 'disk1')]);
  const lengths = await Promise.all(files.map(async (file) => (await readFile(file)).length));
  const totalBytes = lengths.reduce((sum, length) => sum + length, 0);
  expect(await examine(3)).toEqual({ totalBytes, readBytes: totalBytes, damage: [], standing: pointId(3) });
});

test('one flipped byte names its disk and layer, and the newest point that does not stand on it', async () => {
  const before = await replica.digests();
  await flip(replica.layer(2, 'disk1'), (await readFile(replica.layer(2, 'disk1'))).length - 5);
  const { damage, standing } = await examine(3);
  expect(damage).toEqual([
    {
      diskId: 'disk1',
      file: 'layers/00000002-disk1.qcow2',
      pointId: pointId(2),
      found: (await sh('sha256sum', replica.layer(2, 'disk1'))).slice(0, 64),
      needed: before['layers/00000002-disk1.qcow2'],
    },
  ]);
  expect(standing).toBe(pointId(1));
});

test('bases of two disks that were swapped are noticed', async () => {
  const [a, b] = [replica.layer(1, 'disk0'), replica.layer(1, 'disk1')];
  await rename(a, `${a}.swap`);
  await rename(b, a);
  await rename(`${a}.swap`, b);
  const { damage, standing } = await examine(1);
  expect(damage.map(({ diskId }) => diskId)).toEqual(['disk0', 'disk1']);
  expect(standing).toBeNull();
});

test('a chain longer than the limit is not read, and that is said', async () => {
  await flip(replica.layer(2, 'disk1'), 70_000);
  expect(await examine(3, 1000)).toMatchObject({ readBytes: 0, damage: [], totalBytes: expect.any(Number) });
});

test('an address in a header is never called, by looking, taking or the next cycle', async () => {
  const calls: string[] = [];
  const listener = createServer((socket) => {
    calls.push('called');
    socket.destroy();
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  try {
    const url = `nbd://127.0.0.1:${(listener.address() as AddressInfo).port}/x`;
    await sh('qemu-img', 'rebase', '-u', '-f', 'qcow2', '-b', url, '-F', 'raw', replica.layer(3, 'disk0'));
    // The independent reader sees it in the header: this is what a tool that trusts headers would follow.
    expect(await sh('qemu-img', 'info', '--output=json', replica.layer(3, 'disk0'))).toContain(url);
    calls.length = 0;
    const before = await replica.digests();
    expect(await replica.replicas.points(server.id)).toHaveLength(2);
    await expect(replica.replicas.take(server, pointId(3), 'backup-and-recover', 'run-a')).rejects.toThrow(
      'beneath it, needed "00000002-disk0.qcow2"; it is not followed',
    );
    const taken = await replica.replicas.take(server, pointId(2), 'backup-and-recover', 'run-a');
    expect(taken.map(({ diskId }) => diskId)).toEqual(['disk0', 'disk1']);
    await replica.replicas.drop(server.id, 'run-a');
    const { manifest } = await replica.replicas.cycle(server);
    expect(manifest).toMatchObject({ sequence: 4, parentPointId: null });
    expect(await replica.digests()).toMatchObject(before);
    expect(calls).toEqual([]);
  } finally {
    await new Promise((resolve) => listener.close(resolve));
  }
});

test.each([
  ['a manifest is damaged', (r: SmallReplica) => writeFile(r.manifestFile(3), '{'), 4],
  ['a manifest is of a newer format', (r: SmallReplica) => writeFile(r.manifestFile(3), '{"format":2}'), 4],
  [
    'a file that nobody knows lies beside the manifests',
    (r: SmallReplica) => writeFile(`${r.place.points}/notes`, '?'),
    4,
  ],
  ['the record of a merge is damaged', (r: SmallReplica) => writeFile(r.place.merge, '{'), 4],
])('the next cycle keeps what it cannot read: %s', async (_name, damage, sequence) => {
  await damage(replica);
  const before = await replica.digests();
  const { manifest } = await replica.replicas.cycle(server);
  expect(manifest.sequence).toBe(sequence);
  expect(await replica.digests()).toMatchObject(before);
  expect((await replica.replicas.points(server.id)).at(-1)!.sequence).toBe(sequence);
});

test('with the manifest put back the point is whole again, also after a cycle', async () => {
  const manifest = await readFile(replica.manifestFile(2));
  await rm(replica.manifestFile(2));
  expect((await replica.replicas.points(server.id)).map((point) => point.sequence)).toEqual([1]);
  await writeFile(replica.manifestFile(2), manifest.subarray(0, 300));
  await replica.replicas.cycle(server);
  await writeFile(replica.manifestFile(2), manifest);
  expect((await replica.replicas.points(server.id)).map((point) => point.sequence)).toEqual([1, 2, 3, 4]);
  expect((await examine(3)).damage).toEqual([]);
});

test.each([
  ['hold.json', (r: SmallReplica) => r.place.hold],
  ['commit.json', (r: SmallReplica) => r.place.commit],
])('a damaged %s lets nobody take the replica, and its points are shown', async (name, pathOf) => {
  const before = await replica.digests();
  await writeFile(pathOf(replica), '{"format":1,"runId":');
  for (const call of [() => replica.replicas.cycle(server), () => replica.replicas.beginCommit(server.id, 'run-a')]) {
    await expect(call()).rejects.toMatchObject({ family: 'OperatorError', message: expect.stringContaining(name) });
  }
  const view = await replica.replicas.view(server.id);
  expect(view).toMatchObject({ points: { length: 3 }, lastError: expect.stringContaining(name) });
  expect(await replica.digests()).toEqual(before);
});

test('what is no replica in the folder of replicas, and one that is damaged, hide no other', async () => {
  const folder = dirname(replica.place.folder);
  await mkdir(join(folder, 'lost+found'));
  await writeFile(join(folder, 'notes.txt'), 'do not touch');
  await mkdir(join(folder, 'server-2'));
  await writeFile(join(folder, 'server-2', 'server.json'), '{');
  const views = await replica.replicas.views();
  expect(views.map(({ serverId, points }) => [serverId, points.length])).toEqual([
    ['server-1', 3],
    ['server-2', 0],
  ]);
  expect(views[1]!.lastError).toContain('server.json cannot be used: found damaged JSON');
});

import { readdir, readFile, writeFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { allFaults, faultsOf, openSite, type Site } from './support/site';
import { exitCodeOf, sh, write } from './support/tools';

// Generous: the machine may be busy with other suites.
jest.setTimeout(120_000);

let site: Site;
beforeEach(async () => {
  site = await openSite();
  await site.replicas.prepare(site.server);
});
afterEach(() => site.close());

const cycle = () => site.replicas.cycle(site.server);
const points = () => site.replicas.points(site.server.id);

test('every point is byte for byte what the source held, with its signatures put back', async () => {
  const first = await cycle();
  expect(first.manifest.disks[0]!.signatures.map(({ partition, type }) => [partition, type])).toEqual([
    [1, 'ext4'],
    [2, 'swap'],
  ]);
  expect(first.manifest.disks[1]!.signatures.map(({ partition, type }) => [partition, type])).toEqual([
    [0, 'crypto_LUKS'],
  ]);
  // One change far from any signature, one in the superblock's cluster, none at all.
  await write(await site.source.live('sda'), 7, '20M', '128k');
  await cycle();
  await write(await site.source.live('sda'), 9, '1088k', '4k');
  await sh('qemu-io', '-c', 'write -P 1 1050000 8', await site.source.live('sda'));
  await cycle();
  const last = await cycle();
  expect(last.manifest.parentPointId).toBe((await points())[2]!.pointId);
  expect(await points()).toHaveLength(4);
  expect(await allFaults(site)).toEqual([]);
});

test('a volume that is made anew or disappears leaves no wrong byte behind', async () => {
  await cycle();
  const live = await site.source.live('sda');
  // The partition table goes: what was a signature is plain data now, though the layer does not hold it.
  await sh('qemu-io', '-c', 'write -P 0 0 64k', '-c', 'write -P 0 65472k 64k', live);
  const bare = await cycle();
  expect(bare.manifest.disks[0]!.signatures).toEqual([]);
  const again = await cycle();
  expect(await faultsOf(site, bare.manifest)).toEqual([]);
  expect(await faultsOf(site, again.manifest)).toEqual([]);
});

test('the target server keeps everybody else from writing into base and layers', async () => {
  await cycle();
  await cycle();
  for (const point of await points()) {
    for (const disk of point.disks) {
      const layer = join(site.place.folder, disk.file);
      expect(await exitCodeOf('qemu-io', '-c', 'write 0 512', layer)).not.toBe(0);
    }
  }
});

test('leftovers of a cycle that was cut short are cleared by the next one', async () => {
  await cycle();
  await writeFile(join(site.place.layers, '00000002-disk0.qcow2'), 'half a copy');
  await writeFile(join(site.place.points, '00000002-x.json.new'), '{');
  await cycle();
  expect(await readdir(site.place.points)).toHaveLength(2);
  expect(await readdir(site.place.layers)).toHaveLength(4);
  expect(await allFaults(site)).toEqual([]);
});

test('a point whose chain has a hole is not listed as complete, and the next cycle begins a chain of its own', async () => {
  const [, second] = [await cycle(), await cycle(), await cycle()];
  await rm(join(site.place.folder, second.manifest.disks[1]!.file));
  expect((await points()).map((point) => point.sequence)).toEqual([1]);
  const view = await site.replicas.view(site.server.id);
  expect(view!.lastError).toContain('00000002-disk1.qcow2 is missing');
  const fresh = await cycle();
  expect(fresh.manifest).toMatchObject({ sequence: 4, parentPointId: null });
  expect(await allFaults(site)).toEqual([]);
});

test('a damaged manifest costs its point and those that stand on it, nothing else', async () => {
  await cycle();
  await cycle();
  await cycle();
  const names = await readdir(site.place.points);
  const path = join(site.place.points, names[1]!);
  await writeFile(path, (await readFile(path, 'utf8')).slice(0, 200));
  expect((await points()).map((point) => point.sequence)).toEqual([1]);
  expect(await allFaults(site)).toEqual([]);
});

test('a source that has lost its checkpoint is copied in full, and the points before stay', async () => {
  await cycle();
  await cycle();
  await site.source.forgetCheckpoints();
  await write(await site.source.live('sda'), 3, '40M', '64k');
  const full = await cycle();
  expect(full.manifest.parentPointId).toBeNull();
  await cycle();
  expect(await points()).toHaveLength(4);
  expect(await allFaults(site)).toEqual([]);
});

test('a cycle asks for frozen filesystems at the cadence of the server', async () => {
  const server = { ...site.server, cadence: { ...site.server.cadence, freezeEveryMs: 3600_000 } };
  expect((await site.replicas.cycle(server)).manifest.consistency).toBe('file-system');
  expect((await site.replicas.cycle(server)).manifest.consistency).toBe('crash');
});

test('a replica that a run holds gets no cycle, and only one run can hold it', async () => {
  await cycle();
  await site.replicas.hold(site.server.id, 'run-a', 'frozen');
  await site.replicas.hold(site.server.id, 'run-a', 'frozen');
  await expect(cycle()).rejects.toMatchObject({ family: 'OperatorError', message: expect.stringContaining('run-a') });
  await expect(site.replicas.hold(site.server.id, 'run-b', 'frozen')).rejects.toMatchObject({
    family: 'OperatorError',
  });
  await site.replicas.letGo(site.server.id, 'run-b');
  expect((await site.replicas.view(site.server.id))!.heldBy).toBe('run-a');
  await site.replicas.letGo(site.server.id, 'run-a');
  await cycle();
  expect((await site.replicas.view(site.server.id))!.state).toBe('replicating');
});

test('a copy that ends after a run has taken hold adds no point to what the run chose from', async () => {
  await cycle();
  const source = site.source as { copy: Site['source']['copy'] };
  const { copy } = source;
  source.copy = async (request, options) => {
    const result = await copy(request, options);
    await site.replicas.hold(site.server.id, 'run-a', 'frozen');
    return result;
  };
  await expect(cycle()).rejects.toMatchObject({ message: expect.stringContaining('run-a') });
  expect(await points()).toHaveLength(1);
  source.copy = copy;
  await site.replicas.letGo(site.server.id, 'run-a');
  await cycle();
  expect(await points()).toHaveLength(2);
  expect(await allFaults(site)).toEqual([]);
});

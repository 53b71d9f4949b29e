/** Cycles whose source, replica or timing is not as it was: nothing may be lost or wrong that was complete before. */
import { readdir, readFile, writeFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { allFaults, faultsOf, openSite, type Site } from './support/site';
import { sh, write } from './support/tools';

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

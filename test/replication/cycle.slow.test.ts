/** What a cycle promises, in short; what it does when something is lost or damaged is in damage.slow.test.ts. */
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { allFaults, openSite, type Site } from './support/site';
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

test('a point keeps in which start of the machine it was taken without the agent, and the next copy waits in any other', async () => {
  const { copy } = site.source;
  const wanted: unknown[] = [];
  site.source.copy = async (request, options) => {
    wanted.push(request.agentFirst);
    const inVain = wanted.length === 2 ? { clockSkewMs: null, withoutAgentIn: '7' } : {};
    return { ...(await copy(request, options)), ...inVain };
  };
  for (let round = 0; round < 3; round += 1) await site.replicas.cycle(site.server, { agentFirst: true });
  await cycle();
  expect(wanted).toEqual([{ exceptInStart: null }, { exceptInStart: null }, { exceptInStart: '7' }, undefined]);
  const kept = await points();
  expect(kept.map(({ origin }) => origin.withoutAgentIn)).toEqual([undefined, '7', undefined, undefined]);
  expect(await allFaults(site)).toEqual([]);
});

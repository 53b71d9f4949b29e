import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PrepareResult } from '../../disks/contract';
import { createPreparations } from '../../replication/preparations';
import type { PreparationGround, Preparations } from '../../replication/prepared-contract';
import { digestOf } from '../../disks/linux/seen-files';
import { allFaults, openSite, type Site } from './support/site';
import { typeAt } from './support/tools';

jest.setTimeout(120_000);

const id = 'server-1';
const hardwareId = 'kvm-virtio';
let site: Site;
let preparations: Preparations;
beforeEach(async () => {
  site = await openSite(2);
  await site.replicas.prepare(site.server);
  await site.replicas.cycle(site.server);
  preparations = createPreparations({
    ...{ folder: join(site.folder, 'replicas'), runtimeFolder: join(site.folder, 'run'), clock: Date.now },
  });
});
afterEach(() => site.close());

/** What a disk toolkit would leave in the ground's folder. */
async function workOut(ground: PreparationGround, text: string): Promise<PrepareResult[]> {
  const content = Buffer.from(text);
  await writeFile(join(ground.folder, 'archive'), content);
  const files = [{ name: 'archive', sizeBytes: content.length, sha256: digestOf(content) }];
  const watch = [{ path: '/etc/fstab', is: 'file' as const, sizeBytes: 1, modifiedSeconds: 2 }];
  return [{ hardwareId, prepared: { hardwareId, record: { some: text }, files, watch, folder: ground.folder } }];
}

async function keep(text: string): Promise<void> {
  const ground = (await preparations.begin(site.server))!;
  await preparations.keep(id, ground, await workOut(ground, text));
  await preparations.end(id, ground.id);
}

test('a preparation works on overlays with signatures, and no point is merged or changed meanwhile', async () => {
  const ground = (await preparations.begin(site.server))!;
  expect(ground.disks.map(({ diskId }) => diskId)).toEqual(['disk0', 'disk1']);
  const { signatures, path } = ground.disks[0]!;
  const raw = join(site.folder, 'seen.raw');
  execFileSync('qemu-img', ['convert', '-O', 'raw', path, raw]);
  expect(await typeAt(raw, signatures[0]!.volumeOffsetBytes, signatures[0]!.volumeSizeBytes)).toBe('ext4');
  await site.replicas.cycle(site.server);
  expect((await site.replicas.cycle(site.server)).merged).toBeNull();
  expect(await allFaults(site)).toEqual([]);
  await preparations.end(id, ground.id);
  await preparations.end(id, ground.id);
  expect((await site.replicas.cycle(site.server)).merged).not.toBeNull();
});

test('what is kept is found with its files, seen in the view, and replaced as a whole', async () => {
  expect(await preparations.find(id, hardwareId)).toEqual({ because: 'nothing was prepared' });
  await keep('first');
  await keep('second');
  const found = await preparations.find(id, hardwareId);
  if ('because' in found) throw new Error(found.because);
  expect(found.record).toEqual({ some: 'second' });
  expect(await readFile(join(found.folder, 'archive'), 'utf8')).toBe('second');
  const folders = (await readdir(site.place.prepared, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  expect(folders).toHaveLength(1);
  expect((await site.replicas.view(id))!.prepared).toEqual([
    { hardwareId, state: 'prepared', at: found.preparedAt, because: null },
  ]);
});

test('what could not be prepared, and what has changed at the source, is said with its reason', async () => {
  await keep('first');
  await preparations.markOutdated(id, [hardwareId], '/boot has changed at the source');
  const state = async () => (await site.replicas.view(id))!.prepared!.map(({ state, because }) => [state, because]);
  expect(await state()).toEqual([['outdated', '/boot has changed at the source']]);
  expect(await preparations.find(id, hardwareId)).toMatchObject({ record: { some: 'first' } });
  const ground = (await preparations.begin(site.server))!;
  await preparations.keep(id, ground, [{ hardwareId, stillFits: true, watch: [] }]);
  expect(await state()).toEqual([['prepared', null]]);
  await preparations.keep(id, ground, [{ hardwareId, because: 'no system' }]);
  expect(await state()).toEqual([['failed', 'no system']]);
  expect(await preparations.find(id, hardwareId)).toEqual({ because: 'it could not be prepared: no system' });
});

test('a damaged or foreign document is not used, and the reason is said', async () => {
  await keep('first');
  const file = join(site.place.prepared, `${hardwareId}.json`);
  const text = await readFile(file, 'utf8');
  for (const damaged of [
    text.replace('first', 'other'),
    text.slice(0, 99),
    text.replace('"format": 1', '"format": 2'),
  ]) {
    expect(damaged).not.toBe(text);
    await writeFile(file, damaged);
    const because = 'what was prepared is damaged, or was kept by another version of Muster';
    expect(await preparations.find(id, hardwareId)).toEqual({ because });
    expect((await site.replicas.view(id))!.prepared).toEqual([]);
  }
});

test('what a killed preparation left is cleared by the next one, and all of it goes with the replica', async () => {
  await keep('first');
  const lost = (await preparations.begin(site.server))!;
  await mkdir(join(site.place.prepared, 'unnamed'));
  await keep('second');
  expect(existsSync(lost.disks[0]!.path)).toBe(false);
  expect(await readdir(site.place.preparing)).toEqual([]);
  expect((await readdir(site.place.prepared)).includes('unnamed')).toBe(false);
  await preparations.begin(site.server);
  await preparations.clear(id);
  expect(existsSync(site.place.preparing)).toBe(false);
  await site.replicas.remove(id);
  expect(existsSync(site.place.folder)).toBe(false);
});

test('nothing is begun while a run holds the replica, and none is in the way of one that makes its recovery final', async () => {
  const point = (await site.replicas.points(id))[0]!.pointId;
  await preparations.begin(site.server);
  await site.replicas.hold(id, 'run-1', 'frozen');
  expect(await preparations.begin(site.server)).toBeNull();
  await site.replicas.take(site.server, point, 'destructive', 'run-1');
  expect(await site.replicas.beginCommit(id, 'run-1')).toHaveLength(2);
});

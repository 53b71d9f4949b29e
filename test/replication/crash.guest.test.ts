/** Killing things in the middle of things. Slow, so it runs with the guests, one after the other. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { exportIds, jobs } from '../../replication/target-graph';
import { connectQmp } from '../../replication/qmp';
import { targetPid } from '../../replication/target-server';
import { processes, survivors } from '../system/support/processes';
import { allFaults, buildDisks, openSite, siteIn, type Site } from './support/site';
import { exitCodeOf, same, write } from './support/tools';

jest.setTimeout(300_000);

let site: Site;
beforeEach(async () => (site = await openSite(3)));
afterEach(() => site.close());

const names = (folder: string) => (existsSync(folder) ? readdirSync(folder) : []);

/** What the disk looks like when the worker is in that stage of its cycle. */
const stages: Record<string, () => boolean> = {
  'the first copy': () => names(site.place.layers).length === 1,
  'a later copy': () => names(site.place.points).length >= 1 && names(site.place.layers).length % 2 === 1,
  'the second disk is copied': () => names(site.place.layers).length >= 2 + 2 * names(site.place.points).length,
  'a manifest is being written': () => names(site.place.points).some((name) => name.endsWith('.new')),
  'a merge is under way': () => existsSync(site.place.merge),
  'one disk of a merge is renamed': () => existsSync(site.place.merge) && names(site.place.layers).length % 2 === 1,
};

test('a worker killed in any stage of a cycle costs that cycle only', async () => {
  const disks = await buildDisks(site.folder);
  const reached: string[] = [];
  for (const [stage, isReached] of Object.entries(stages)) {
    const script = join(__dirname, 'support', 'keep-cycling.ts');
    const child = spawn(process.execPath, ['--import', 'tsx', script, site.folder, JSON.stringify(disks)], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const ended = new Promise((resolve) => child.once('close', resolve));
    for (let waited = 0; waited < 20_000 && !isReached() && child.exitCode === null; waited++) await sleep(1);
    if (isReached()) reached.push(stage);
    child.kill('SIGKILL');
    await ended;
    const fresh = await siteIn(site.folder, disks, 3);
    const before = await fresh.replicas.points(fresh.server.id);
    expect({ stage, faults: await faultsBefore(fresh) }).toEqual({ stage, faults: [] });
    const { manifest } = await fresh.replicas.cycle(fresh.server);
    expect({ stage, faults: await allFaults(fresh) }).toEqual({ stage, faults: [] });
    expect(manifest.parentPointId).toBe(before.at(-1)?.pointId ?? null);
    expect(names(fresh.place.layers)).toHaveLength(2 * (await fresh.replicas.points(fresh.server.id)).length);
  }
  // Some stages last a millisecond; the long ones must have been met, or this test proves nothing.
  expect(reached).toEqual(expect.arrayContaining(['the first copy', 'a later copy', 'a merge is under way']));
});

test('the target server killed in the middle of a merge harms no point that remains', async () => {
  await site.replicas.prepare(site.server);
  for (let round = 0; round < 3; round++) {
    await write(await site.source.live('sda'), round + 1, '1M', '48M');
    await site.replicas.cycle(site.server);
  }
  await write(await site.source.live('sda'), 9, '50M', '64k');
  const cycle = Promise.allSettled([site.replicas.cycle(site.server)]);
  while (!existsSync(site.place.merge)) await sleep(1);
  const size = () =>
    names(site.place.layers).reduce((sum, name) => sum + statSync(join(site.place.layers, name)).blocks, 0);
  for (const before = size(), pid = await targetPid(site.place); pid !== undefined; await sleep(1)) {
    const qmp = await connectQmp(site.place.qmpSocket).catch(() => undefined);
    const running = qmp === undefined ? [] : await jobs(qmp).catch(() => []);
    qmp?.close();
    if (running.length > 0 || size() !== before || !existsSync(site.place.merge)) {
      process.kill(pid, 'SIGKILL');
      break;
    }
  }
  await cycle;
  expect(await faultsBefore(site)).toEqual([]);
  await site.replicas.cycle(site.server);
  await site.replicas.cycle(site.server);
  expect(await site.replicas.points(site.server.id)).toHaveLength(3);
  expect(await allFaults(site)).toEqual([]);
});

test('no new target server is started while the old one still has its files, though it has lost its command line', async () => {
  await site.replicas.prepare(site.server);
  const before = (await targetPid(site.place))!;
  const [daemon] = processes().filter(({ pid }) => pid === before);
  process.kill(before, 'SIGKILL');
  await survivors([daemon!], 5_000);
  // Its first thread has ended, and another one has not, as in a process that is killed.
  const program = 'import ctypes, threading, time; t = threading.Thread(target=time.sleep, args=(3,)); t.start(); ';
  const leaving = spawn('python3', ['-c', `${program}ctypes.CDLL(None).pthread_exit(None)`], { stdio: 'ignore' });
  const ended = new Promise((resolve) => leaving.once('close', resolve));
  while (readFileSync(`/proc/${leaving.pid}/cmdline`, 'utf8') !== '') await sleep(10);
  writeFileSync(site.place.pidFile, String(leaving.pid));
  const threads = () => names(`/proc/${leaving.pid}/task`).length;
  expect(threads()).toBe(2);
  await site.replicas.prepare(site.server);
  expect(threads()).toBeLessThan(2);
  expect(await targetPid(site.place)).not.toBe(leaving.pid);
  await ended;
});

test('after kill -9 the target server comes back with every chain and every overlay of a run', async () => {
  await site.replicas.prepare(site.server);
  await site.replicas.cycle(site.server);
  const { manifest } = await site.replicas.cycle(site.server);
  await site.replicas.hold(site.server.id, 'run-1', 'suspended');
  const [disk] = await site.replicas.take(site.server, manifest.pointId, 'destructive', 'run-1');
  await exitCodeOf('qemu-io', '-f', 'raw', '-c', 'write -P 5 3M 64k', '-c', 'flush', disk!.editUri);
  const pid = (await targetPid(site.place))!;
  const killed = processes().filter((one) => one.pid === pid);
  expect(killed).toHaveLength(1);
  process.kill(pid, 'SIGKILL');
  expect(await survivors(killed, 60_000)).toEqual([]);
  await site.replicas.prepare(site.server);
  const qmp = await connectQmp(site.place.qmpSocket);
  expect((await exportIds(qmp)).sort()).toEqual(['run-run-1-disk0', 'run-run-1-disk1']);
  qmp.close();
  expect(await exitCodeOf('qemu-io', '-f', 'raw', '-c', 'read -P 5 3M 64k', disk!.editUri)).toBe(0);
  expect(await same(disk!.path, 'qcow2', join(site.place.folder, manifest.disks[0]!.file), 'qcow2')).toBe(false);
  expect(await allFaults(site)).toEqual([]);
});

/** Until a merge is finished, the manifest of the point that it makes the oldest still has the digest from before. */
async function faultsBefore(broken: Site): Promise<string[]> {
  const merging = existsSync(broken.place.merge);
  return (await allFaults(broken)).filter((fault) => !merging || !fault.endsWith('digest'));
}

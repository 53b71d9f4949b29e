/** Copies of a point: that they stand by themselves, and what is left of the work when something is killed under it. */
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Progress } from '../../model/steps';
import type { PointManifest, TakenDisk } from '../../model/replica';
import { copiesPlace } from '../../replication/copies';
import { targetPid } from '../../replication/target-server';
import { siteIn, type Site } from './support/site';
import { exitCodeOf, same, sh, write } from './support/tools';

jest.setTimeout(240_000);

const id = 'server-1';
const mebi = 1024 * 1024;
const bigMebi = 512;
const path = process.env['PATH'];

let site: Site;
let disks: Record<string, string>;
let point: PointManifest;

/** Two disks: one with enough data for a copy to be met at work, one with holes, zeroes and a little data in two layers. */
beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'muster-copies-'));
  chmodSync(folder, 0o711);
  disks = { sda: join(folder, 'big.raw'), sdb: join(folder, 'thin.raw') };
  await sh('truncate', '-s', '1G', disks['sda']!, disks['sdb']!);
  await sh('qemu-io', '-f', 'raw', '-c', `write -P 7 64M ${bigMebi}M`, disks['sda']!);
  await sh('qemu-io', '-f', 'raw', '-c', 'write -P 8 3M 4M', disks['sdb']!);
  site = await siteIn(folder, disks, 2);
  await site.replicas.prepare(site.server);
  await site.replicas.cycle(site.server);
  await sh('qemu-io', '-f', 'qcow2', '-c', 'write -P 9 5M 4M', '-c', 'write -z 3M 1M', await site.source.live('sdb'));
  point = (await site.replicas.cycle(site.server)).manifest;
});
afterEach(async () => {
  process.env['PATH'] = path;
  await site.replicas.drop(id, 'run-1');
});
afterAll(() => site.close());

const take = (options: { onProgress?: (progress: Progress) => void; signal?: AbortSignal } = {}) =>
  site.replicas.take(site.server, point.pointId, 'copy-and-recover', 'run-1', options);
const own = () => copiesPlace(site.place, 'run-1');

test('copies stand by themselves, are thin, and hold what the point holds, which is as it was', async () => {
  const taken = await take();
  expect(await take()).toEqual(taken);
  expect(await faultsOfCopies(taken)).toEqual([]);
  const map = JSON.parse(await sh('qemu-img', 'map', '-U', '--output=json', taken[1]!.path)) as Extent[];
  const data = map.filter((extent) => extent.data).reduce((sum, extent) => sum + extent.length, 0);
  // 3 to 4 MiB was written and zeroed, 4 to 9 MiB holds data.
  expect(data).toBe(5 * mebi);
  expect(await exitCodeOf('qemu-io', '-f', 'raw', '-c', 'write -P 5 3M 64k', taken[1]!.editUri)).toBe(0);
  expect(await exitCodeOf('qemu-io', '-f', 'raw', '-c', 'read -P 5 3M 64k', taken[1]!.editUri)).toBe(0);
  expect(await changedLayers()).toEqual([]);
});

test('a worker killed in the middle of copying: the copying goes on, and the next attempt finds it', async () => {
  const stop = await inTheMiddle('SIGSTOP');
  const script = join(__dirname, 'support', 'take-copy.ts');
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', script, site.folder, JSON.stringify(disks), point.pointId],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  const ended = new Promise((resolve) => child.once('close', resolve));
  const pid = await stop.done;
  child.kill('SIGKILL');
  await ended;
  process.kill(pid, 'SIGCONT');
  const seen: Progress[] = [];
  const taken = await take({ onProgress: (progress) => seen.push(progress) });
  expect(seen[0]).toMatchObject({ label: 'copying disk0', total: bigMebi * mebi });
  expect(seen[0]!.done).toBeGreaterThan(0);
  expect(await targetPid(own())).toBe(pid);
  expect(await faultsOfCopies(taken)).toEqual([]);
  expect(await changedLayers()).toEqual([]);
});

test('a target server killed in the middle of copying: the next attempt copies what is missing, unless the host fell too', async () => {
  for (const hostFell of [false, true]) {
    // Late enough for some of the copy's map to be on disk: the last 128 MiB are in memory, and as much is under way.
    const kill = await inTheMiddle('SIGKILL', 320);
    const [first] = await Promise.allSettled([take(), kill.done]);
    expect(first).toMatchObject({ status: 'rejected', reason: { family: 'TransientError' } });
    const record = join(site.place.runs, 'run-1', 'run.json');
    if (hostFell)
      writeFileSync(record, readFileSync(record, 'utf8').replace(/"bootId": "[^"]+"/, '"bootId": "before"'));
    const seen: Progress[] = [];
    const taken = await take({ onProgress: (progress) => seen.push(progress) });
    if (hostFell) expect(seen[0]!.total).toBe(bigMebi * mebi);
    else expect(seen[0]!.total).toBeLessThan(bigMebi * mebi);
    expect(await faultsOfCopies(taken)).toEqual([]);
    expect(await changedLayers()).toEqual([]);
    await site.replicas.drop(id, 'run-1');
  }
});

test('storage that is full says how much more is needed, and with room the copy is finished', async () => {
  limitFiles(site.folder, 100 * mebi);
  await expect(take()).rejects.toMatchObject({
    family: 'OperatorError',
    facts: {
      what: expect.stringContaining('no room for the copy of disk0'),
      needed: expect.stringMatching(/MiB more/),
    },
  });
  await sh('prlimit', '--pid', String(await targetPid(own())), '--fsize=unlimited:unlimited');
  const seen: Progress[] = [];
  const taken = await take({ onProgress: (progress) => seen.push(progress) });
  expect(seen[0]!.total).toBeLessThan((bigMebi - 50) * mebi);
  expect(await faultsOfCopies(taken)).toEqual([]);
  expect(await changedLayers()).toEqual([]);
});

test('an abort in the middle of copying leaves nothing behind', async () => {
  const stop = await inTheMiddle('SIGSTOP');
  const abort = new AbortController();
  const taking = Promise.allSettled([take({ signal: abort.signal })]);
  const pid = await stop.done;
  abort.abort(new Error('the run was aborted'));
  process.kill(pid, 'SIGCONT');
  expect((await taking)[0]).toMatchObject({ status: 'rejected' });
  await site.replicas.drop(id, 'run-1');
  expect(existsSync(join(site.place.runs, 'run-1'))).toBe(false);
  expect(await targetPid(own())).toBeUndefined();
  expect(existsSync(own().socketFolder)).toBe(false);
  expect(await changedLayers()).toEqual([]);
});

test('replication goes on under whole copies: points are merged away, and the run still gets its disks', async () => {
  const [disk, thin] = await take();
  for (let round = 0; round < 3; round += 1) {
    const { merged } = await site.replicas.cycle(site.server);
    expect(merged).not.toBeNull();
  }
  expect((await site.replicas.points(id)).map((one) => one.pointId)).not.toContain(point.pointId);
  expect(await take()).toEqual([disk, thin]);

  const given = await site.replicas.handOver(id, 'run-1', 'disk0');
  expect(given).toEqual({ ...disk, editUri: `file:${disk!.path}` });
  expect(await site.replicas.release(id, 'run-1', 'disk0')).toEqual({ restarted: false });
  await write(disk!.path, 6, '5M', '64k');
  expect(await site.replicas.takeBack(id, 'run-1', 'disk0')).toEqual(disk);
  expect(await exitCodeOf('qemu-io', '-f', 'raw', '-c', 'read -P 6 5M 64k', disk!.editUri)).toBe(0);
  await expect(site.replicas.remove(id)).rejects.toMatchObject({ family: 'OperatorError' });

  for (const { diskId } of [disk!, thin!]) await site.replicas.handOver(id, 'run-1', diskId);
  expect(await targetPid(own())).toBeUndefined();
  await site.replicas.remove(id);
  expect(await site.replicas.view(id)).toBeUndefined();
  expect(await exitCodeOf('qemu-io', '-f', 'qcow2', '-c', 'read -P 6 5M 64k', disk!.path)).toBe(0);
});

interface Extent {
  readonly length: number;
  readonly data: boolean;
}

/** What is wrong with the copies, judged by qemu-img alone. */
async function faultsOfCopies(taken: readonly TakenDisk[]): Promise<string[]> {
  const faults: string[] = [];
  for (const [at, { diskId, path: copy }] of taken.entries()) {
    const info = JSON.parse(await sh('qemu-img', 'info', '-U', '--output=json', copy)) as Record<string, unknown>;
    if (info['backing-filename'] !== undefined) faults.push(`${diskId} stands on ${String(info['backing-filename'])}`);
    const layer = join(site.place.folder, point.disks[at]!.file);
    if (!(await same(copy, 'qcow2', layer, 'qcow2'))) faults.push(`${diskId} differs from the point`);
    const { leaks, corruptions } = JSON.parse(
      await sh('qemu-img', 'check', '-U', '--output=json', copy).catch((error: { stdout: string }) => error.stdout),
    ) as Record<string, number | undefined>;
    if (leaks !== undefined || corruptions !== undefined) faults.push(`${diskId} is not whole`);
  }
  return faults;
}

/** Layers that are no longer what their manifest says, byte for byte. */
async function changedLayers(): Promise<string[]> {
  const layers = (await site.replicas.points(id)).flatMap((one) => one.disks);
  const digests = await Promise.all(layers.map(({ file }) => sh('sha256sum', join(site.place.folder, file))));
  expect(layers).toHaveLength(4);
  return layers.filter(({ sha256 }, at) => !digests[at]!.startsWith(sha256)).map(({ file }) => file);
}

/**
 * Sends the target server of the next copy a signal as soon as some of the big disk is copied. Seen from outside: its monitor serves one
 * client at a time, and that is the worker. `done`: its number, when the signal was sent.
 */
async function inTheMiddle(signal: 'SIGSTOP' | 'SIGKILL', fromMebi = 32): Promise<{ done: Promise<number> }> {
  const partial = join(site.place.runs, 'run-1', 'disk0.qcow2.new');
  const script = join(__dirname, 'support', 'signal-when-grown.mjs');
  const args = ['--fifo', '50', process.execPath, script, partial, String(fromMebi), own().pidFile, signal];
  const child = spawn('chrt', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe('ready');
  return {
    done: lines.next().then(({ value }) => {
      expect(statSync(partial).blocks / 2048).toBeLessThan(bigMebi);
      return Number(value);
    }),
  };
}

/** Target servers started from now on can write no file beyond that size: their storage is full, to them. */
function limitFiles(folder: string, bytes: number): void {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  const script = `#!/bin/sh\ntrap '' XFSZ\nPATH=\${PATH#*:}\nexec prlimit --fsize=${bytes}:unlimited qemu-storage-daemon "$@"\n`;
  writeFileSync(join(bin, 'qemu-storage-daemon'), script);
  chmodSync(join(bin, 'qemu-storage-daemon'), 0o755);
  process.env['PATH'] = `${bin}:${path}`;
}

/** What is written to a machine's own disk, what is refused, and what a kill leaves behind. Judged by the system's tools. */
import { randomUUID } from 'node:crypto';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MachineDisk } from '../../../platforms/contract';
import type { PhysicalMachine } from '../../../platforms/physical/machine';
import { exitCodeOf, sh } from '../../replication/support/tools';
import { expectFailure } from '../conformance';
import { addMachine, claimFor, mebi, openTestSite, type TestSite } from './machine';

jest.setTimeout(120_000);

let site: TestSite;
beforeEach(async () => {
  site = await openTestSite();
});
afterEach(() => site?.close());

async function claimed(change: Partial<PhysicalMachine> = {}) {
  const machine = addMachine(site, change);
  const { spec, ref } = claimFor(machine);
  await site.platform.create(spec);
  return { machine, ref, device: machine.disks[0]!.device };
}

/** Byte for byte, as far as the run's disk reaches. */
async function holds(device: string, disk: MachineDisk): Promise<boolean> {
  const target = `json:${JSON.stringify({ driver: 'raw', size: disk.sizeBytes, file: { driver: 'file', filename: device } })}`;
  return (await exitCodeOf('qemu-img', 'compare', '-q', '-f', 'qcow2', disk.path, target)) === 0;
}

const signaturesOn = (device: string): string =>
  execFileSync('wipefs', ['--no-act', '--noheadings', '--output', 'TYPE', device], { encoding: 'utf8' });

test('a run’s disk is on the machine’s disk afterwards, byte for byte, and a second call writes nothing', async () => {
  const { ref, device } = await claimed();
  const disk = await site.newRunDisk();
  const seen: string[] = [];
  await site.platform.attachDisk(ref, disk, { onProgress: ({ label }) => seen.push(label) });
  expect(await holds(device, disk)).toBe(true);
  expect(seen.some((label) => label.startsWith('Writing'))).toBe(true);
  const volume = ['-p', '-o', 'value', '-s', 'TYPE', '-O', String(mebi), '-S', String(32 * mebi), device];
  expect(execFileSync('blkid', volume, { encoding: 'utf8' }).trim()).toBe('ext4');
  // Zeros stay holes: 64 MiB with about one of data.
  expect(Number(await sh('stat', '-c', '%b', device)) * 512).toBeLessThan(24 * mebi);
  const before = execFileSync('stat', ['-c', '%y', device], { encoding: 'utf8' });
  await site.again().attachDisk(ref, disk);
  expect(execFileSync('stat', ['-c', '%y', device], { encoding: 'utf8' })).toBe(before);
  expect(readdirSync(join(site.folder, 'physical', 'writing'))).toEqual([]);
});

test('on a larger disk the backup of the partition table moves to its end, and what ended there before is gone', async () => {
  const { ref, device } = await claimed({ disks: [{ index: 0, device: site.newImage(96 * mebi), serial: null }] });
  const disk = await site.newRunDisk();
  await site.platform.attachDisk(ref, disk);
  expect(execFileSync('sfdisk', ['--verify', device], { encoding: 'utf8' })).toContain('No errors detected');
  const table = JSON.parse(execFileSync('sfdisk', ['--json', device], { encoding: 'utf8' })) as {
    partitiontable: { partitions: unknown[] };
  };
  expect(table.partitiontable.partitions).toHaveLength(1);
});

test.each<[string, (device: string) => void, RegExp]>([
  [
    'a file system',
    (device) => void execFileSync('mke2fs', ['-q', '-t', 'ext4', '-L', 'payroll', device]),
    /ext4 "payroll"/,
  ],
  ['a partition table', (device) => void execFileSync('sfdisk', ['-q', device], { input: 'label: gpt\n,,L\n' }), /gpt/],
  [
    'bytes at its beginning',
    (device) => void execFileSync('qemu-io', ['-f', 'raw', '-c', 'write -P 7 4k 512', device]),
    /bytes at its beginning/,
  ],
  [
    'bytes at its end',
    (device) => void execFileSync('qemu-io', ['-f', 'raw', '-c', `write -P 7 ${64 * mebi - 512} 512`, device]),
    /bytes at 63 MiB/,
  ],
  [
    'bytes in its middle',
    (device) => void execFileSync('qemu-io', ['-f', 'raw', '-c', `write -P 7 ${32 * mebi} 64k`, device]),
    /bytes at 32 MiB/,
  ],
])('a disk with %s on it is refused and left as it is, until the order names it', async (_, fill, found) => {
  const { ref, device } = await claimed();
  const disk = await site.newRunDisk();
  fill(device);
  const before = await sh('sha256sum', device);
  const [finding] = await site.platform.given!.examine(ref, [disk]);
  expect(finding).toMatchObject({ diskId: 'disk0', ok: false, found: expect.stringMatching(found) });
  const error = await expectFailure(site.platform.attachDisk(ref, disk), 'OperatorError', found);
  expect(error.message).toContain(`--set overwriteDisks=${device}`);
  await expectFailure(site.platform.attachDisk(ref, disk, { overwriteDisks: [`${device}x`] }), 'OperatorError');
  // The undo of a refused attempt has nothing to take back.
  await site.platform.detachDisk(ref, disk);
  expect(await sh('sha256sum', device)).toBe(before);
  await site.platform.attachDisk(ref, disk, { overwriteDisks: [device] });
  expect(await holds(device, disk)).toBe(true);
});

test('a disk that is too small, another one by its serial, or not there is refused', async () => {
  const small = await claimed({ disks: [{ index: 0, device: site.newImage(16 * mebi), serial: null }] });
  const disk = await site.newRunDisk();
  const named = { overwriteDisks: [small.device] };
  await expectFailure(
    site.platform.attachDisk(small.ref, disk, named),
    'OperatorError',
    /found .*16 MiB, needed at least 64 MiB/,
  );
  const device = site.newImage(64 * mebi);
  const other = await claimed({ disks: [{ index: 0, device, serial: 'S6Z1NX0T' }] });
  await expectFailure(
    site.platform.attachDisk(other.ref, disk, { overwriteDisks: [device] }),
    'OperatorError',
    /says no serial, needed serial S6Z1NX0T/,
  );
  writeFileSync(`${device}.serial`, 'WRONG\n');
  await expectFailure(site.platform.attachDisk(other.ref, disk), 'OperatorError', /found .*serial WRONG/);
  writeFileSync(`${device}.serial`, 'S6Z1NX0T\n');
  await site.platform.attachDisk(other.ref, disk);
  const gone = await claimed({ disks: [{ index: 0, device: '/nonexistent/disk', serial: null }] });
  await expectFailure(site.platform.attachDisk(gone.ref, disk), 'OperatorError', /no such device/);
  const [finding] = await site.platform.given!.examine(gone.ref, [disk]);
  expect(finding).toMatchObject({ ok: false, found: expect.stringContaining('/nonexistent/disk is not there') });
  await expectFailure(site.platform.attachDisk(gone.ref, { ...disk, index: 1 }), 'OperatorError', /no disk at place 1/);
});

test('a disk that a running QEMU has open is not written', async () => {
  const { ref, device } = await claimed();
  const disk = await site.newRunDisk();
  const drive = ['-drive', `if=ide,format=raw,file=${device}`, '-qmp', 'stdio'];
  const holder = spawn('qemu-system-x86_64', ['-S', '-nodefaults', '-display', 'none', '-m', '32', ...drive]);
  try {
    // It greets before it opens its disks; a command is answered after that.
    holder.stdin.write('{"execute":"qmp_capabilities"}\n');
    for await (const said of holder.stdout) if (String(said).includes('"return"')) break;
    await expectFailure(site.platform.attachDisk(ref, disk), 'OperatorError', /in use on this host.*running QEMU/);
  } finally {
    holder.kill('SIGKILL');
    await once(holder, 'close');
  }
  await site.platform.attachDisk(ref, disk);
});

test('taken back, nothing boots from it, and another run may write to it without a word', async () => {
  const { machine, ref, device } = await claimed();
  const disk = await site.newRunDisk();
  await site.platform.attachDisk(ref, disk);
  expect(signaturesOn(device)).toContain('gpt');
  await site.platform.detachDisk(ref, disk);
  await site.platform.detachDisk(ref, disk);
  expect(signaturesOn(device)).toBe('');
  expect(readFileSync(device).subarray(510, 512)).toEqual(Buffer.from([0, 0]));
  await site.platform.remove(ref);
  const next = claimFor(machine);
  await site.platform.create(next.spec);
  expect((await site.platform.given!.examine(next.ref, [disk]))[0]).toMatchObject({ ok: true });
  await site.platform.attachDisk(next.ref, disk);
  expect(await holds(device, disk)).toBe(true);
});

test('what a run wrote and started is a system: the next run has to name it, and its own run takes it back', async () => {
  const { machine, ref, device } = await claimed();
  const disk = await site.newRunDisk();
  await site.platform.attachDisk(ref, disk);
  await site.platform.power(ref, 'on');
  await site.platform.power(ref, 'off');
  await site.platform.remove(ref);
  const next = claimFor(machine);
  await site.platform.create(next.spec);
  await expectFailure(
    site.platform.attachDisk(next.ref, disk),
    'OperatorError',
    new RegExp(`of run ${ref.owner.runId}, in use since`),
  );
  expect(signaturesOn(device)).toContain('gpt');
  await site.platform.attachDisk(next.ref, disk, { overwriteDisks: [device] });
  await site.platform.power(next.ref, 'on');
  await site.platform.power(next.ref, 'off');
  await site.platform.detachDisk(next.ref, disk);
  expect(signaturesOn(device)).toBe('');
});

test('what was changed since a run wrote it is neither overwritten nor made unbootable', async () => {
  const { ref, device } = await claimed();
  const disk = await site.newRunDisk();
  await site.platform.attachDisk(ref, disk);
  const other = site.newImage(64 * mebi);
  execFileSync('mke2fs', ['-q', '-t', 'ext4', other]);
  copyFileSync(other, device);
  await expectFailure(site.platform.detachDisk(ref, disk), 'OperatorError', /changed since run/);
  expect(signaturesOn(device)).toContain('ext4');
});

test('a worker killed in mid-copy leaves a disk that boots nothing; the same call then finishes it', async () => {
  const { ref, device } = await claimed({ disks: [{ index: 0, device: site.newImage(192 * mebi), serial: null }] });
  const disk = await bigRunDisk();
  const { machines, folder } = site.options;
  const place = JSON.stringify({ machines, folder, ref, disk });
  const worker = spawn(process.execPath, ['--import', 'tsx', join(__dirname, 'attach-program.ts')], {
    env: { ...process.env, PLACE: place },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const piece of worker.stdout) if (String(piece).includes('Writing')) break;
  worker.kill('SIGKILL');
  await once(worker, 'close');
  expect(await holds(device, disk)).toBe(false);
  expect(signaturesOn(device)).toBe('');
  expect((await site.platform.find(ref.name))?.disks).toEqual([]);
  // Another machine's disk with a copy of the mark on it is still not Muster's.
  const stolen = await claimed();
  execFileSync('dd', [`if=${device}`, `of=${stolen.device}`, 'count=1', 'conv=notrunc', 'status=none']);
  await expectFailure(site.platform.attachDisk(stolen.ref, disk, {}), 'OperatorError');
  await site.platform.attachDisk(ref, disk);
  expect(await holds(device, disk)).toBe(true);
});

test('an abort in mid-copy ends qemu-img, and undo makes the disk Muster’s own blank', async () => {
  const { ref, device } = await claimed({ disks: [{ index: 0, device: site.newImage(192 * mebi), serial: null }] });
  const disk = await bigRunDisk();
  const abort = new AbortController();
  const onProgress = ({ label }: { label: string }) => {
    if (label.startsWith('Writing')) abort.abort(new Error('the run was aborted'));
  };
  await expect(site.platform.attachDisk(ref, disk, { signal: abort.signal, onProgress })).rejects.toThrow(
    'the run was aborted',
  );
  expect(spawnSync('pgrep', ['-f', `qemu-img.*${device}`]).status).toBe(1);
  await site.platform.detachDisk(ref, disk);
  expect(signaturesOn(device)).toBe('');
  const records = readdirSync(join(site.folder, 'physical', 'disks'));
  expect(records).toHaveLength(1);
  expect(JSON.parse(readFileSync(join(site.folder, 'physical', 'disks', records[0]!), 'utf8'))).toMatchObject({
    state: 'withdrawn',
  });
  await site.platform.remove(ref);
  expect(existsSync(join(site.folder, 'physical', 'claims', `${ref.name}.json`))).toBe(false);
});

/** Takes a while to copy: nothing in it is zero. */
async function bigRunDisk(): Promise<MachineDisk> {
  const path = join(site.folder, `${randomUUID()}.qcow2`);
  await sh('qemu-img', 'create', '-q', '-f', 'qcow2', path, '192M');
  await sh('qemu-io', '-f', 'qcow2', '-c', 'write -P 5 0 192M', path);
  return { diskId: 'disk0', index: 0, path, format: 'qcow2', sizeBytes: 192 * mebi };
}

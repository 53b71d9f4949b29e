/** A real block device (a loop device): size, exclusive use, direct input and output. Needs root, as guests do. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expectFailure } from '../conformance';
import { addMachine, claimFor, mebi, openTestSite, type TestSite } from './machine';

jest.setTimeout(120_000);

let site: TestSite;
let device: string;
beforeEach(async () => {
  site = await openTestSite();
  device = run('losetup', '--find', '--show', site.newImage(80 * mebi)).trim();
});
afterEach(async () => {
  if (device !== undefined) run('losetup', '--detach', device);
  await site?.close();
});

const run = (program: string, ...args: string[]): string => execFileSync(program, args, { encoding: 'utf8' });

async function claimed() {
  const machine = addMachine(site, { disks: [{ index: 0, device, serial: null }] });
  const { spec, ref } = claimFor(machine);
  await site.platform.create(spec);
  return ref;
}

test('a block device is written, read back by the kernel, and made unbootable again', async () => {
  const ref = await claimed();
  const disk = await site.newRunDisk();
  await site.platform.attachDisk(ref, disk);
  expect(await site.platform.registerDisk(ref, disk)).toEqual({ sizeBytes: 80 * mebi, format: 'raw' });
  run('blockdev', '--flushbufs', device);
  expect(run('sfdisk', '--verify', device)).toContain('No errors detected');
  const volume = ['-p', '-o', 'value', '-s', 'TYPE', '-O', String(mebi), '-S', String(32 * mebi), device];
  expect(run('blkid', ...volume).trim()).toBe('ext4');
  await site.platform.detachDisk(ref, disk);
  run('blockdev', '--flushbufs', device);
  expect(run('wipefs', '--no-act', '--noheadings', device)).toBe('');
});

test('a block device that is in use on this host is not written, even when the order names it', async () => {
  const ref = await claimed();
  const disk = await site.newRunDisk();
  run('mke2fs', '-q', '-t', 'ext4', device);
  const mountPoint = join(site.folder, 'mounted');
  mkdirSync(mountPoint);
  run('mount', device, mountPoint);
  try {
    await expectFailure(
      site.platform.attachDisk(ref, disk, { overwriteDisks: [device] }),
      'OperatorError',
      /in use on this host.*mounted/,
    );
  } finally {
    run('umount', mountPoint);
  }
  await site.platform.attachDisk(ref, disk, { overwriteDisks: [device] });
});

test('a write-protected device is refused, even when the order names it', async () => {
  const ref = await claimed();
  const disk = await site.newRunDisk();
  run('blockdev', '--setro', device);
  try {
    const named = { overwriteDisks: [device] };
    await expectFailure(site.platform.attachDisk(ref, disk, named), 'OperatorError', /write-protected/);
  } finally {
    // A loop device keeps it for whoever gets it next.
    run('blockdev', '--setrw', device);
  }
});

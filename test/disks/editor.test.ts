import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { driveArguments, imageOf } from '../../disks/disk-address';
import { createDiskEditor } from '../../disks/editor';
import { guestfishLine, guestfishWord, printable } from '../../disks/guestfish-words';
import { findVolumes, signaturesOf } from '../../disks/signatures';
import type { TakenDisk } from '../../model/replica';
import { hardwareProfiles, type OperatingSystem } from '../../model/server';
import { exportOverlay } from './storage-daemon';

const MiB = 1024 * 1024;
let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'muster-editor-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const editor = () => createDiskEditor({ scratchFolder: join(folder, 'scratch') });

/** A raw disk with ext4 and swap, as a run's disk whose signatures are known. */
async function newDisk(name: string): Promise<TakenDisk> {
  const path = join(folder, name);
  execFileSync('truncate', ['-s', '64M', path]);
  execFileSync('sfdisk', ['-q', path], { input: 'label: gpt\nsize=32M\nsize=16M\n' });
  execFileSync('mke2fs', ['-q', '-t', 'ext4', '-E', `offset=${MiB}`, path, '32M'], { stdio: 'ignore' });
  const swap = join(folder, 'swap');
  execFileSync('truncate', ['-s', '16M', swap]);
  execFileSync('mkswap', [swap], { stdio: 'ignore' });
  execFileSync('dd', [`if=${swap}`, `of=${path}`, 'bs=1M', 'seek=33', 'conv=notrunc', 'status=none']);
  const image = { uri: `file:${path}`, format: 'raw' as const };
  return {
    ...{ diskId: 'disk0', index: 0, pointId: 'p1', virtualSizeBytes: 64 * MiB, path, format: 'raw' },
    ...{ editUri: image.uri, signatures: signaturesOf(await findVolumes(image)) },
  };
}

test('signatures are taken out and put back, each as often as one likes', async () => {
  const disk = await newDisk('cycle.raw');
  const before = readFileSync(disk.path);
  for (let times = 0; times < 2; times += 1) await editor().removeSignatures(disk);
  expect((await editor().volumes(disk)).map(({ type }) => type)).toEqual([null, null]);
  for (let times = 0; times < 2; times += 1) {
    const volumes = await editor().applySignatures(disk);
    expect(volumes).toEqual([
      { partition: 1, offsetBytes: MiB, sizeBytes: 32 * MiB, type: 'ext4' },
      { partition: 2, offsetBytes: 33 * MiB, sizeBytes: 16 * MiB, type: 'swap' },
    ]);
  }
  expect(readFileSync(disk.path).equals(before)).toBe(true);
});

test('signatures reach a disk that a storage daemon holds', async () => {
  const disk = await newDisk('exported.raw');
  const overlay = join(folder, 'exported.qcow2');
  await editor().removeSignatures(disk);
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', disk.path, '-F', 'raw', overlay]);
  const daemon = await exportOverlay(overlay, join(folder, 'nbd.sock'), 'run-1.disk0');
  try {
    const exported: TakenDisk = { ...disk, path: overlay, format: 'qcow2', editUri: daemon.editUri };
    expect((await editor().applySignatures(exported)).map(({ type }) => type)).toEqual(['ext4', 'swap']);
    expect((await editor().volumes(disk)).map(({ type }) => type)).toEqual([null, null]);
  } finally {
    await daemon.stop();
  }
});

test('a manifest that does not fit the disk is refused with the volume and what was found', async () => {
  const disk = await newDisk('wrong.raw');
  const signatures = disk.signatures.map((signature) => ({ ...signature, type: 'xfs' }));
  await expect(editor().applySignatures({ ...disk, signatures })).rejects.toMatchObject({
    name: 'OperatorError',
    message: expect.stringContaining('partition 1 of disk0') as string,
    facts: { found: 'ext4', needed: 'xfs' },
  });
});

test('a disk that cannot be reached is a transient failure, and no disk a permanent one', async () => {
  const gone = { ...(await newDisk('gone.raw')), editUri: `nbd+unix:///x?socket=${folder}/none.sock` };
  await expect(editor().applySignatures(gone)).rejects.toMatchObject({ name: 'TransientError' });
  await expect(editor().inoculate([], hardwareProfiles['pc-ahci']!)).rejects.toMatchObject({ name: 'PermanentError' });
});

test('an abort before the start is answered with its reason and starts nothing', async () => {
  const disk = await newDisk('aborted.raw');
  const signal = AbortSignal.abort(new Error('somebody else was quicker'));
  await expect(editor().inoculate([disk], hardwareProfiles['pc-ahci']!, { signal })).rejects.toThrow('somebody else');
});

test('addresses become the arguments that guestfish and qemu expect', () => {
  const nbd = { diskId: 'disk0', format: 'qcow2', editUri: 'nbd+unix:///run%201?socket=/run/a b.sock' } as const;
  expect(driveArguments(nbd)).toEqual(['run 1', 'format:raw', 'protocol:nbd', 'server:unix:/run/a b.sock']);
  expect(imageOf(nbd)).toEqual({ uri: nbd.editUri, format: 'raw' });
  const file = { ...nbd, editUri: 'file:/var/x.qcow2' };
  expect(driveArguments(file)).toEqual(['/var/x.qcow2', 'format:qcow2']);
  expect(() => driveArguments({ ...nbd, editUri: 'nbd://host/x' })).toThrow('needed nbd+unix:///');
});

test('a hostile name stays one argument on one line', () => {
  expect(guestfishLine('rm', ['/boot/a b"; !id\n<!'])).toBe(String.raw`rm "/boot/a b\x22\x3b \x21id\x0a\x3c\x21"`);
  expect(guestfishWord('-x')).toBe('"-x"');
  expect(() => guestfishWord('a\0b')).toThrow('NUL');
  fc.assert(
    fc.property(fc.string(), (text) => {
      fc.pre(!text.includes('\0'));
      expect(guestfishWord(text)).toMatch(/^([A-Za-z0-9/._=:@+-]+|"([A-Za-z0-9/._=:@+, -]|\\x[0-9a-f]{2})*")$/);
    }),
  );
});

test('names from a guest are printed on one line, without control characters, and cut', () => {
  expect(printable('a\u001b[31m\nb\u202e')).toBe('a?[31m?b?');
  expect(printable('x'.repeat(500))).toHaveLength(201);
});

test.each<[Partial<OperatingSystem>, RegExp]>([
  [
    { family: 'linux', distribution: 'rocky', prettyName: 'Rocky Linux 9' },
    /Rocky Linux 9 needs an inoculator for dracut/,
  ],
  [{ family: 'unknown' }, /unknown/],
  [{ family: 'linux' }, /this Linux needs an inoculator of its own/],
])('%j has no inoculator, and the answer says what it would take', (os, because) => {
  const choice = editor().chooseInoculator(os as OperatingSystem, hardwareProfiles['vmware-pvscsi']!);
  expect(choice).toEqual({ because: expect.stringMatching(because) as string });
});

test('Windows is inoculated with drivers and registry', () => {
  const choice = editor().chooseInoculator({ family: 'windows' }, hardwareProfiles['vmware-pvscsi']!);
  expect(choice).toEqual({ inoculator: 'windows-drivers' });
});

test.each(['debian', 'ubuntu', 'Debian'])('%s is inoculated through initramfs-tools', (distribution) => {
  const choice = editor().chooseInoculator({ family: 'linux', distribution }, hardwareProfiles['kvm-virtio']!);
  expect(choice).toEqual({ inoculator: 'initramfs-tools' });
});

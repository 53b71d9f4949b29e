import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDiskEditor } from '../../../disks/editor';
import { findVolumes, signaturesOf } from '../../../disks/signatures';
import type { TakenDisk } from '../../../model/replica';

const MiB = 1024 * 1024;
let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'muster-ntfs-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const editor = () => createDiskEditor({ scratchFolder: join(folder, 'scratch') });
const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

/** A GPT disk as Windows lays it out: ESP, MSR, C: (its NTFS smaller than the partition where `shrunk`), recovery. */
async function windowsDisk(name: string, shrunk: boolean): Promise<TakenDisk> {
  const path = join(folder, name);
  execFileSync('truncate', ['-s', '80M', path]);
  const input = ['label: gpt', 'size=8M,type=U', 'size=1M', 'size=48M', 'size=16M', ''].join('\n');
  execFileSync('sfdisk', ['-q', path], { input });
  put(path, 'esp', 1, 8, (file) => execFileSync('mkfs.vfat', [file], { stdio: 'ignore' }));
  put(path, 'c', 10, shrunk ? 32 : 48, (file) => execFileSync('mkntfs', ['-q', '-F', '-Q', file], { stdio: 'ignore' }));
  put(path, 'recovery', 58, 16, (file) => execFileSync('mkntfs', ['-q', '-F', '-Q', file], { stdio: 'ignore' }));
  const image = { uri: `file:${path}`, format: 'raw' as const };
  return {
    ...{ diskId: 'disk0', index: 0, pointId: 'p1', virtualSizeBytes: 80 * MiB, path, format: 'raw' },
    ...{ editUri: image.uri, signatures: signaturesOf(await findVolumes(image)) },
  };
}

function put(disk: string, name: string, offsetMiB: number, sizeMiB: number, make: (file: string) => unknown): void {
  const file = join(folder, name);
  rmSync(file, { force: true });
  execFileSync('truncate', ['-s', `${sizeMiB}M`, file]);
  make(file);
  execFileSync('dd', [`if=${file}`, `of=${disk}`, 'bs=1M', `seek=${offsetMiB}`, 'conv=notrunc', 'status=none']);
}

/** The C: partition on its own, for tools that take a volume. */
function volumeC(disk: string): string {
  const path = join(folder, 'cut');
  execFileSync('dd', [`if=${disk}`, `of=${path}`, 'bs=1M', 'skip=10', 'count=48', 'status=none']);
  return path;
}

const blkid = (disk: string, offsetMiB: number): string => {
  try {
    const args = ['-p', '-o', 'value', '-s', 'TYPE', '-O', String(offsetMiB * MiB), disk];
    return execFileSync('blkid', args, { encoding: 'utf8' }).trim();
  } catch {
    return '';
  }
};

test.each([
  ['as large as its partition', false],
  ['smaller than its partition', true],
])('an NTFS %s loses its name in both boot sectors and gets both back', async (name, shrunk) => {
  const disk = await windowsDisk(`${shrunk}.raw`, shrunk);
  const before = sha256(disk.path);
  const mirror = (10 + (shrunk ? 32 : 48)) * MiB - 512 + 3;
  const offsets = disk.signatures
    .find(({ partition }) => partition === 3)!
    .pieces.map(({ offsetBytes }) => offsetBytes);
  expect([...new Set(offsets)]).toEqual([10 * MiB + 3, mirror]);

  await editor().removeSignatures(disk);
  expect([1, 10, 58].map((at) => blkid(disk.path, at))).toEqual(['', '', '']);
  expect(readFileSync(disk.path).includes('NTFS    ')).toBe(false);
  expect(() => execFileSync('ntfsinfo', ['-m', volumeC(disk.path)], { stdio: 'pipe' })).toThrow(/ntfsinfo/);

  await editor().applySignatures(disk);
  expect([1, 10, 58].map((at) => blkid(disk.path, at))).toEqual(['vfat', 'ntfs', 'ntfs']);
  expect(sha256(disk.path)).toBe(before);
  const seen = execFileSync('ntfsinfo', ['-m', volumeC(disk.path)], { encoding: 'utf8' });
  expect(seen).toMatch(/Volume Version: 3\.1/);
});

test('the second boot sector that was put back is good enough to repair the first from', async () => {
  const disk = await windowsDisk('repair.raw', false);
  await editor().removeSignatures(disk);
  await editor().applySignatures(disk);
  const volume = volumeC(disk.path);
  const bytes = readFileSync(volume);
  const good = Buffer.from(bytes.subarray(0, 512));
  bytes.fill(0, 0, 512);
  writeFileSync(volume, bytes);
  expect(() => execFileSync('ntfsinfo', ['-m', volume], { stdio: 'pipe' })).toThrow(/ntfsinfo/);
  execFileSync('ntfsfix', [volume], { stdio: 'ignore' });
  expect(readFileSync(volume).subarray(0, 512).equals(good)).toBe(true);
  expect(execFileSync('ntfsinfo', ['-m', '-f', volume], { encoding: 'utf8' })).toMatch(/Volume Version: 3\.1/);
});

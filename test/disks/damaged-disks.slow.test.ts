import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { refuseDamaged } from '../../disks/refuse-damaged';
import type { TakenDisk } from '../../model/replica';

const MiB = 1024 * 1024;
let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'muster-damaged-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function newDisk(name: string, table: string | null, virtualSizeBytes = 64 * MiB): TakenDisk {
  const path = join(folder, name);
  execFileSync('truncate', ['-s', String(64 * MiB), path]);
  if (table !== null) execFileSync('sfdisk', ['-q', path], { input: table });
  return {
    ...{ diskId: 'disk1', index: 1, pointId: 'p7', virtualSizeBytes, path, format: 'raw' },
    ...{ editUri: `file:${path}`, signatures: [] },
  };
}

function overwrite(disk: TakenDisk, at: number, bytes: Buffer): void {
  const file = openSync(disk.path, 'r+');
  writeSync(file, bytes, 0, bytes.length, at);
  closeSync(file);
}

const gpt = 'label: gpt\nsize=16M\nsize=16M\n';
const mbr = 'label: dos\nsize=16M\nsize=40M\n';

test.each([
  ['a GPT', gpt],
  ['an MBR', mbr],
  ['an MBR with logical partitions', 'label: dos\nsize=4M\nsize=4M\nsize=4M\ntype=5\nsize=4M\nsize=4M\n'],
  ['no table', null],
])('a disk with %s is taken as it is', async (_what, table) => {
  await expect(refuseDamaged([newDisk('whole.raw', table)])).resolves.toBeUndefined();
});

test('a filesystem on the whole disk is no damaged table', async () => {
  const disk = newDisk('fat.raw', null);
  execFileSync('mkfs.vfat', [disk.path], { stdio: 'ignore' });
  await expect(refuseDamaged([disk])).resolves.toBeUndefined();
});

test.each<[string, string, (disk: TakenDisk) => void, RegExp]>([
  [
    'a GPT header that changed',
    gpt,
    (d) => overwrite(d, 512 + 40, Buffer.from([1, 2, 3])),
    /header has a wrong checksum.*is whole/,
  ],
  ['a GPT header that is gone', gpt, (d) => overwrite(d, 512, Buffer.alloc(512)), /header is gone.*is whole/],
  ['both first sectors gone', gpt, (d) => overwrite(d, 0, Buffer.alloc(1024)), /no partition table, but the copy/],
  [
    'the copy of a GPT gone',
    gpt,
    (d) => overwrite(d, 64 * MiB - 512, Buffer.alloc(512)),
    /copy at the end of the disk is gone/,
  ],
  ['a GPT disk that lost its end', gpt, (d) => truncateSync(d.path, 40 * MiB), /a disk that was larger/],
  [
    'an MBR disk that lost its end',
    mbr,
    (d) => truncateSync(d.path, 40 * MiB),
    /partition 2 ends at byte \d+ of a disk of 41943040/,
  ],
])('%s is an OperatorError that names the disk and changes nothing', async (_what, table, damage, found) => {
  const disk = newDisk('damaged.raw', table, 0);
  damage(disk);
  const before = execFileSync('sha256sum', [disk.path], { encoding: 'utf8' });
  await expect(refuseDamaged([disk])).rejects.toMatchObject({
    name: 'OperatorError',
    message: expect.stringMatching(/partition table of disk1 .*recovery point than p7/) as string,
    facts: { found: expect.stringMatching(found) as string },
  });
  expect(execFileSync('sha256sum', [disk.path], { encoding: 'utf8' })).toBe(before);
});

test('an image that is shorter than the recovery point says is refused with both sizes', async () => {
  const disk = newDisk('short.raw', null, 65 * MiB);
  await expect(refuseDamaged([disk])).rejects.toThrow('disk1 is cut off: found 67108864 bytes, needed 68157440 bytes');
});

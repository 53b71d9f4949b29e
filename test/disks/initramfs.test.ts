import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { cpioModes, createCpioReader, writeCpio, type CpioFile } from '../../disks/linux/cpio';
import { compressArchive, readInitramfs, type Compression } from '../../disks/linux/initramfs';

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'muster-initramfs-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string, content: string): CpioFile => ({
  name,
  mode: cpioModes.file,
  content: Buffer.from(content),
});
const archive = (...files: CpioFile[]) => writeCpio(files);

async function compressed(kind: Compression, ...files: CpioFile[]): Promise<Buffer> {
  const source = join(folder, `source-${kind}`);
  writeFileSync(source, archive(...files));
  const { readFile } = await import('node:fs/promises');
  return readFile(await compressArchive(source, kind));
}

async function read(...parts: Buffer[]) {
  const path = join(folder, 'initrd');
  writeFileSync(path, Buffer.concat(parts));
  return readInitramfs(path, (name) => name.startsWith('conf/'));
}

test('cpio itself lists and extracts what is written', () => {
  const bytes = archive(file('usr/lib/modules/a.ko', 'abc'), file('conf/modules', 'ahci\n'));
  const names = execFileSync('cpio', ['-t', '--quiet'], { input: bytes, encoding: 'utf8' }).trim().split('\n');
  expect(names).toEqual(['usr', 'usr/lib', 'usr/lib/modules', 'usr/lib/modules/a.ko', 'conf', 'conf/modules']);
  execFileSync('cpio', ['-i', '--quiet'], { input: bytes, cwd: folder });
  expect(execFileSync('cat', [join(folder, 'conf/modules')], { encoding: 'utf8' })).toBe('ahci\n');
});

test('what was written is read back, in pieces of any size', () => {
  const content = fc.array(
    fc.tuple(fc.stringMatching(/^[a-z]{1,9}(\/[a-z]{1,9})?$/), fc.uint8Array({ maxLength: 40 })),
  );
  fc.assert(
    fc.property(content, fc.integer({ min: 1, max: 700 }), (files, step) => {
      const bytes = writeCpio(
        files.map(([name, body]) => ({ name: `d/${name}`, mode: cpioModes.file, content: body })),
      );
      const found: [string, string][] = [];
      const reader = createCpioReader(
        () => true,
        (entry, body) => void (entry.mode === cpioModes.file && found.push([entry.name, body!.toString('hex')])),
      );
      for (let at = 0; at < bytes.length; at += step) reader.feed(bytes.subarray(at, at + step));
      expect(reader.atEnd).toBe(true);
      expect(found).toEqual(files.map(([name, body]) => [`d/${name}`, Buffer.from(body).toString('hex')]));
    }),
  );
});

test.each(['zstd', 'gzip', 'xz'] as const)(
  'microcode, a %s archive and an appended one are all seen; the later wins',
  async (kind) => {
    const early = archive(file('kernel/x86/microcode/GenuineIntel.bin', 'x'.repeat(5000)));
    const main = await compressed(kind, file('usr/lib/modules/6.1/a.ko', 'a'), file('conf/modules', 'old'));
    const added = await compressed(kind, file('usr/lib/modules/6.1/b.ko', 'b'), file('conf/modules', 'new'));
    const found = await read(early, Buffer.alloc(512 - (early.length % 512)), main, added);
    expect(found.compression).toBe(kind);
    expect([...found.entries.keys()]).toEqual(
      expect.arrayContaining(['usr/lib/modules/6.1/a.ko', 'usr/lib/modules/6.1/b.ko']),
    );
    expect(found.kept.get('conf/modules')!.toString()).toBe('new');
    expect(found.libFolder).toBe('usr/lib');
  },
);

test('archives that are not compressed at all are seen to the last', async () => {
  const found = await read(archive(file('lib/a', '1'.repeat(3))), Buffer.alloc(8), archive(file('lib/b', '2')));
  expect(found.compression).toBe('none');
  expect([...found.entries.keys()]).toEqual(['lib', 'lib/a', 'lib/b']);
  expect(found.libFolder).toBe('lib');
});

test('an initramfs that is cut off, is no archive, or goes on with something else is refused', async () => {
  const main = await compressed('zstd', file('a', 'x'.repeat(1000)));
  await expect(read(main.subarray(0, main.length - 7))).rejects.toThrow('cannot be read as an initramfs');
  await expect(read(main, Buffer.from('something else'))).rejects.toThrow('cannot be read as an initramfs');
  await expect(read(Buffer.from('no archive'))).rejects.toThrow('not a newc archive');
  await expect(read(archive(file('a', 'b')).subarray(0, 130))).rejects.toThrow('cut off');
  await expect(read(Buffer.alloc(4096))).rejects.toThrow('no entries');
});

test('header fields that a hostile guest wrote do not get far', () => {
  const bytes = archive(file('a', 'b'));
  const broken = (at: number, text: string) => {
    const copy = Buffer.from(bytes);
    copy.write(text, at, 'latin1');
    const reader = createCpioReader(
      () => true,
      () => undefined,
    );
    return () => reader.feed(copy);
  };
  expect(broken(6 + 6 * 8, 'ffffffff')).toThrow('an entry of 4294967295 bytes');
  expect(broken(6 + 11 * 8, '7fffffff')).toThrow('a name of 2147483647 bytes');
  expect(broken(6 + 6 * 8, '-0000001')).toThrow('header field');
});

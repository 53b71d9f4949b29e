/** Archives and images that were made to take all memory, or a processor for ever: the program that reads them is stopped. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { readInitramfs } from '../../disks/linux/initramfs';
import { imageSizeBytes } from '../../disks/signatures-image';
import { limited } from '../../programs/limits';
import { runProgram } from '../../programs/run';
import { layerInfo } from '../../replication/layers';
import { placeOf } from '../../replication/place';
import { addNode, closeNodes } from '../../replication/target-graph';
import { stopTargetServer, withTargetServer } from '../../replication/target-server';

jest.setTimeout(300_000);

const mebi = 1024 ** 2;
let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'muster-hostile-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const refusal = (found: RegExp, needed: RegExp) => ({
  family: 'OperatorError',
  facts: {
    found: expect.stringMatching(found) as string,
    needed: expect.stringMatching(needed) as string,
    remedy: expect.stringContaining('recovery point') as string,
  },
});

test('a program has the limits that it is started with, and one that takes too much of them ends as an OperatorError', async () => {
  const limits = { memoryBytes: 512 * mebi, processorSeconds: 1 };
  const { stdout } = await runProgram('cat', ['/proc/self/limits'], { limits });
  expect(stdout).toMatch(/Max address space +536870912 +536870912 /);
  expect(stdout).toMatch(/Max cpu time +1 +6 /);
  const busy = runProgram('sh', ['-c', 'while :; do :; done'], { limits });
  await expect(busy).rejects.toMatchObject(refusal(/more processor time/, /at most 1 s/));
  const hungry = runProgram('perl', ['-e', '$x = "x" x (1 << 30)'], { limits: { ...limits, processorSeconds: 60 } });
  await expect(hungry).rejects.toMatchObject(refusal(/more memory|broke down/, /512 MiB/));
});

test('where Muster itself may take less, a program gets no more than that', () => {
  const own = execFileSync('prlimit', ['--as=1000000000:2000000000', '--nofile=20:30', 'cat', '/proc/self/limits'], {
    encoding: 'utf8',
  });
  const limits = { memoryBytes: 4e9, processorSeconds: 7, openFiles: 64 };
  expect(limited(['x'], limits, own).join(' ')).toBe('prlimit --as=2000000000 --cpu=7:12 --core=0 --nofile=30 x');
});

describe('an initramfs', () => {
  /** Compressors take several streams one after the other for one. */
  const bombs: readonly [string, readonly string[]][] = [
    ['zstd', ['zstd', '-qc1']],
    ['gzip', ['gzip', '-c1']],
    ['xz', ['xz', '-c0', '--check=crc32']],
  ];

  test.each(bombs)(
    'of more than 2 GiB of zeros in %s is refused, and takes no memory',
    async (kind, [program, ...args]) => {
      const zeros = join(folder, 'zeros');
      writeFileSync(zeros, '');
      truncateSync(zeros, 128 * mebi);
      const stream = execFileSync(program!, [...args, zeros], { maxBuffer: 16 * mebi });
      const bomb = join(folder, `bomb-${kind}`);
      writeFileSync(bomb, Buffer.concat(Array<Buffer>(17).fill(stream)));
      expect(statSync(bomb).size).toBeLessThan(16 * mebi);
      const before = process.memoryUsage().rss;
      await expect(readInitramfs(bomb, () => true)).rejects.toMatchObject(
        refusal(/more than 2147483648 bytes unpacked/, /initramfs/),
      );
      // Half of what is unpacked: what has passed through is collected when there is time for it.
      expect(process.memoryUsage().rss - before).toBeLessThan(1024 * mebi);
    },
  );

  test('whose xz header asks for 4 GiB of memory is refused by the limit of the program that unpacks it', async () => {
    const path = join(folder, 'initrd.xz');
    writeFileSync(path, execFileSync('xz', ['-c0', '--check=crc32'], { input: '070701' }));
    const bytes = readFileSync(path);
    // The block header behind the 12 bytes of the stream's: size, flags, LZMA2, one byte of dictionary size, CRC32.
    expect([...bytes.subarray(12, 16)]).toEqual([2, 0, 0x21, 1]);
    bytes[16] = 40;
    bytes.writeUInt32LE(crc32(bytes.subarray(12, 20)), 20);
    writeFileSync(path, bytes);
    await expect(readInitramfs(path, () => true)).rejects.toMatchObject(refusal(/more memory/, /at most 1 GiB/));
  });
});

describe('a qcow2 image', () => {
  const image = (name: string, size = '1G') => {
    const path = join(folder, name);
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', path, size]);
    return path;
  };

  test.each<[string, number, 4 | 8, bigint]>([
    ['a first-level table of 32 GiB', 36, 4, 0xffff_ffffn],
    ['a table of refcounts of 256 TiB', 56, 4, 0xffff_ffffn],
    ['4 billion snapshots', 60, 4, 0xffff_ffffn],
    ['a disk of 4 EiB', 24, 8, 1n << 62n],
    ['clusters of a tebibyte', 20, 4, 40n],
  ])('that claims %s is refused, and not tried again', async (_what, at, width, value) => {
    const path = image('claims.qcow2');
    const bytes = readFileSync(path);
    if (width === 4) bytes.writeUInt32BE(Number(value), at);
    else bytes.writeBigUInt64BE(value, at);
    writeFileSync(path, bytes);
    const refused = refusal(/too (large|big)|Unsupported/, /whole image/);
    await expect(imageSizeBytes({ uri: `file:${path}`, format: 'qcow2' })).rejects.toMatchObject(refused);
    await expect(layerInfo(path)).rejects.toMatchObject(refused);
  });

  test('with bitmaps of 3 GiB in a file of some MiB is refused by the limit of the program that opens it', async () => {
    const path = image('bitmaps.qcow2', '32T');
    const place = placeOf(join(folder, 'replicas'), join(folder, 'run'), 'server-1');
    mkdirSync(dirname(place.pidFile), { recursive: true });
    await withTargetServer(place, async (qmp) => {
      await addNode(qmp, { node: 'made', file: path, backing: null, readOnly: false });
      for (let at = 0; at < 48; at += 1) {
        const bitmap = { node: 'made', name: `b${at}`, granularity: 65_536, persistent: true };
        await qmp.execute('block-dirty-bitmap-add', bitmap);
      }
      await closeNodes(qmp, ['made']);
    });
    await stopTargetServer(place);
    expect(statSync(path).size).toBeLessThan(32 * mebi);
    await expect(layerInfo(path)).rejects.toMatchObject(refusal(/more memory|broke down/, /at most 2 GiB/));
  });
});

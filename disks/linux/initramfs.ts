/**
 * An initramfs as Linux reads it: archives one after the other, plain (microcode) or compressed, zeros between them; what
 * comes later overrides what came earlier. lsinitramfs stops at the first trailer of the compressed part and so does not
 * see what was appended; this reader does.
 */
import { open } from 'node:fs/promises';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { execa } from 'execa';
import { OperatorError, PermanentError } from '../../model/errors';
import { childEnvironment } from '../../programs/environment';
import { limited, limitedEnvironment, limitError, limitsFor } from '../../programs/limits';
import { runProgram } from '../../programs/run';
import { printable } from '../guestfish-words';
import { createCpioReader, firstContent, isSymlink } from './cpio';

export type Compression = 'none' | 'zstd' | 'gzip' | 'xz' | 'lz4';

/** First bytes of each (lib/decompress.c of Linux); lz4 in its legacy form. */
const magics: readonly (readonly [Compression, string])[] = [
  ['zstd', '28b52ffd'],
  ['gzip', '1f8b'],
  ['xz', 'fd377a585a00'],
  ['lz4', '02214c18'],
];
const decompressors: Record<Exclude<Compression, 'none'>, readonly string[]> = {
  zstd: ['zstd', '-dcq'],
  gzip: ['gzip', '-dcq'],
  // One thread: later ones than xz 5.4 take one for each processor, and memory for each.
  xz: ['xz', '-dcq', '-T1'],
  lz4: ['lz4', '-dcq'],
};
/** xz: the kernel's decompressor knows no other check than crc32 (lib/decompress_unxz.c). */
const compressors: Record<Exclude<Compression, 'none'>, (source: string, target: string) => readonly string[]> = {
  zstd: (source, target) => ['zstd', '-qf', '-3', '-o', target, source],
  gzip: (source) => ['gzip', '-kfn6', '-S', '.gzip', source],
  xz: (source) => ['xz', '-kfq', '-2', '--check=crc32', '-S', '.xz', source],
  lz4: (source, target) => ['lz4', '-qlf', source, target],
};
/** What `COMPRESS` of initramfs-tools may say for its work to be read here. */
export const readableCompressions = Object.keys(decompressors) as readonly Compression[];
const timeoutMs = 120_000;
const maxUnpackedBytes = 2 * 1024 ** 3;
/** Of all archives together: what is held in memory of a file that a guest wrote. A large initramfs has some thousand entries. */
const limits = { entries: 200_000, archives: 1_000, nameBytes: 32 * 1024 * 1024, keptBytes: 64 * 1024 * 1024 };

export interface Initramfs {
  /** How its main part, the last one, is compressed. */
  readonly compression: Compression;
  readonly sizeBytes: number;
  /** name -> size; the later of two entries of one name. */
  readonly entries: ReadonlyMap<string, number>;
  /** Content of the entries that were asked for. */
  readonly kept: ReadonlyMap<string, Buffer>;
  /** `usr/lib` where /lib is a link to it, else `lib`. */
  readonly libFolder: 'lib' | 'usr/lib';
}

/**
 * Lists a local copy of an initramfs to its last byte.
 *
 * @throws PermanentError when it is cut off, malformed, or compressed in a way that this host cannot read; OperatorError
 * when reading it would take more than an initramfs may.
 */
export async function readInitramfs(
  path: string,
  keep: (name: string) => boolean,
  signal?: AbortSignal,
): Promise<Initramfs> {
  const entries = new Map<string, number>();
  const kept = new Map<string, Buffer>();
  let libIsLink = false;
  const spent = { entries: 0, nameBytes: 0, keptBytes: 0 };
  const onEntry = (entry: { name: string; mode: number; sizeBytes: number }, content: Buffer | null) => {
    spent.entries += 1;
    spent.nameBytes += entry.name.length;
    spent.keptBytes += content?.length ?? 0;
    for (const what of ['entries', 'nameBytes', 'keptBytes'] as const)
      if (spent[what] > limits[what]) throw tooMuch(path, `more than ${limits[what]} ${what}`);
    entries.set(entry.name, entry.sizeBytes);
    if (entry.name === 'lib') libIsLink = isSymlink(entry.mode);
    if (content !== null) kept.set(entry.name, content);
  };
  const reader = createCpioReader(keep, onEntry);
  const plain = await readPlainParts(path, keep, onEntry);
  if (plain.compression !== 'none') {
    await readCompressed(path, plain.offsetBytes, plain.compression, (chunk) => reader.feed(chunk), signal);
    if (!reader.atEnd) throw unreadable(path, 'an archive that is cut off');
  }
  if (entries.size === 0) throw unreadable(path, 'no entries');
  return {
    compression: plain.compression,
    sizeBytes: plain.sizeBytes,
    entries,
    kept,
    libFolder: libIsLink || ![...entries.keys()].some((name) => name.startsWith('lib/')) ? 'usr/lib' : 'lib',
  };
}

/** Reads uncompressed archives at the front; says where the compressed part starts. */
async function readPlainParts(
  path: string,
  keep: (name: string) => boolean,
  onEntry: (entry: { name: string; mode: number; sizeBytes: number }, content: Buffer | null) => void,
): Promise<{ offsetBytes: number; sizeBytes: number; compression: Compression }> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    let offset = 0;
    let archives = 0;
    while (offset < size) {
      const window = Buffer.alloc(Math.min(64 * 1024, size - offset));
      await file.read(window, 0, window.length, offset);
      const content = firstContent(window);
      if (content !== 0) {
        offset += content < 0 ? window.length : content;
        continue;
      }
      const compression = magics.find(([, magic]) => window.toString('hex', 0, magic.length / 2) === magic)?.[0];
      if (compression !== undefined) return { offsetBytes: offset, sizeBytes: size, compression };
      archives += 1;
      if (archives > limits.archives) throw tooMuch(path, `more than ${limits.archives} archives`);
      offset = await readPlainArchive(file, offset, size, keep, onEntry);
    }
    return { offsetBytes: size, sizeBytes: size, compression: 'none' };
  } finally {
    await file.close();
  }
}

async function readPlainArchive(
  file: Awaited<ReturnType<typeof open>>,
  start: number,
  size: number,
  keep: (name: string) => boolean,
  onEntry: (entry: { name: string; mode: number; sizeBytes: number }, content: Buffer | null) => void,
): Promise<number> {
  const reader = createCpioReader(keep, onEntry, { once: true });
  let offset = start;
  while (offset < size) {
    const chunk = Buffer.alloc(Math.min(1024 * 1024, size - offset));
    await file.read(chunk, 0, chunk.length, offset);
    const used = reader.feed(chunk);
    offset += used;
    if (used < chunk.length) return offset;
  }
  if (!reader.atEnd) throw unreadable('the initramfs', 'an archive that is cut off');
  return offset;
}

async function readCompressed(
  path: string,
  offsetBytes: number,
  compression: Exclude<Compression, 'none'>,
  feed: (chunk: Buffer) => void,
  signal?: AbortSignal,
): Promise<void> {
  const command = limited(decompressors[compression], limitsFor.archives);
  const child = execa('setpriv', ['--pdeathsig', 'KILL', '--', ...command], {
    reject: false,
    extendEnv: false,
    env: childEnvironment(limitedEnvironment),
    buffer: { stdout: false },
    maxBuffer: { stderr: 64 * 1024 },
    stdin: 'pipe',
    timeout: timeoutMs,
    forceKillAfterDelay: 5_000,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  });
  // A program that ends early breaks the pipe; what it said and its exit code are the answer then.
  const fed = pipeline(createReadStream(path, { start: offsetBytes }), child.stdin).catch(() => undefined);
  let total = 0;
  try {
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
      total += chunk.length;
      if (total > maxUnpackedBytes) throw tooMuch(path, `more than ${maxUnpackedBytes} bytes unpacked`);
      feed(chunk);
    }
  } catch (error) {
    child.kill('SIGKILL');
    await child;
    signal?.throwIfAborted();
    throw error;
  }
  await fed;
  const result = await child;
  signal?.throwIfAborted();
  const { exitCode, stderr } = result;
  const atLimit = limitError({ program: compression, exitCode, signal: result.signal, stderr }, limitsFor.archives);
  if (atLimit !== undefined && !result.timedOut) throw atLimit;
  if (result.exitCode !== 0) {
    throw unreadable(path, printable(`${compression} ended with ${result.exitCode}: ${result.stderr.trim()}`));
  }
}

const tooMuch = (path: string, found: string) =>
  new OperatorError({
    what: `${path} is not unpacked to its end`,
    found,
    needed: 'what an initramfs holds',
    remedy:
      'It was made to fill the memory, or is no initramfs: choose another recovery point, or remove that kernel in the overlay with guestfish.',
  });

const unreadable = (path: string, found: string) =>
  new PermanentError({
    what: `${path} cannot be read as an initramfs`,
    found,
    needed: `archives, plain or compressed with ${Object.keys(decompressors).join(', ')}`,
  });

/**
 * Compresses the archive in `source` the way that an initramfs of that kind is compressed; returns the new file's path.
 *
 * @throws ProgramError when the program is missing or fails.
 */
export async function compressArchive(source: string, compression: Compression, signal?: AbortSignal): Promise<string> {
  if (compression === 'none') return source;
  const target = `${source}.${compression}`;
  const [program, ...args] = compressors[compression](source, target);
  await runProgram(program!, args, { signal, timeoutMs, limits: limitsFor.archives });
  return target;
}

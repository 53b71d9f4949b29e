/**
 * The archive format of an initramfs: cpio "newc" (Documentation/driver-api/early-userspace/buffer-format.rst of Linux).
 * Reading is a stream with limits, because the bytes are the guest's; writing is reproducible: no times, no owners.
 */
import { PermanentError } from '../../model/errors';

export interface CpioEntry {
  /** Without leading `./` or `/`. */
  readonly name: string;
  readonly mode: number;
  readonly sizeBytes: number;
}

export interface CpioFile {
  readonly name: string;
  readonly mode: number;
  readonly content: Uint8Array;
}

const headerBytes = 110;
const trailer = 'TRAILER!!!';
const limits = { entries: 200_000, nameBytes: 4096, keptBytes: 4 * 1024 * 1024, entryBytes: 1024 ** 3 };
const typeMask = 0o170000;
export const cpioModes = { directory: 0o040755, file: 0o100644 };

export const isSymlink = (mode: number) => (mode & typeMask) === 0o120000;

export interface CpioReader {
  /** Takes the next bytes; returns how many it used: fewer than given only once the archive has ended. */
  feed(chunk: Buffer): number;
  /** True between archives: after a trailer, or before anything. Zeros between archives are part of no archive. */
  readonly atEnd: boolean;
}

/**
 * Reads archives that follow one another. `onEntry` gets the content of those entries that `keep` asks for (at most 4
 * MiB), else null. `once`: stop using bytes after the first trailer.
 *
 * @throws PermanentError on anything that is no newc archive, or beyond the limits.
 */
export function createCpioReader(
  keep: (name: string) => boolean,
  onEntry: (entry: CpioEntry, content: Buffer | null) => void,
  options: { once?: boolean } = {},
): CpioReader {
  let held: Buffer = Buffer.alloc(0);
  let skip = 0;
  let atEnd = true;
  let entries = 0;
  let trailers = 0;

  const takeOne = (): boolean => {
    if (atEnd && held[0] === 0) {
      const content = firstContent(held);
      held = content < 0 ? Buffer.alloc(0) : held.subarray(content);
    }
    if (held.length < 6) return false;
    checkMagic(held);
    if (held.length < headerBytes) return false;
    const header = parseHeader(held);
    const bodyAt = pad4(headerBytes + header.nameBytes);
    if (held.length < bodyAt) return false;
    const name = held.toString('utf8', headerBytes, headerBytes + header.nameBytes - 1).replace(/^(\.?\/)+/, '');
    const bodyEnd = pad4(bodyAt + header.sizeBytes);
    if (name === trailer) {
      held = held.subarray(bodyAt);
      atEnd = true;
      trailers += 1;
      return true;
    }
    const wanted = keep(name) && header.sizeBytes <= limits.keptBytes;
    if (wanted && held.length < bodyEnd) return false;
    entries += 1;
    if (entries > limits.entries) throw malformed(`more than ${limits.entries} entries`);
    atEnd = false;
    onEntry(
      { name, mode: header.mode, sizeBytes: header.sizeBytes },
      wanted ? Buffer.from(held.subarray(bodyAt, bodyAt + header.sizeBytes)) : null,
    );
    skip = Math.max(0, bodyEnd - held.length);
    held = held.subarray(Math.min(bodyEnd, held.length));
    return true;
  };

  return {
    feed(chunk) {
      const skipped = Math.min(skip, chunk.length);
      skip -= skipped;
      held = Buffer.concat([held, chunk.subarray(skipped)]);
      while (skip === 0 && held.length > 0 && takeOne()) {
        if (options.once === true && trailers > 0) break;
      }
      return options.once === true && trailers > 0 ? chunk.length - held.length : chunk.length;
    },
    get atEnd() {
      return atEnd && skip === 0 && firstContent(held) < 0;
    },
  };
}

const zeros = Buffer.alloc(64 * 1024);

/** Place of the first byte that is not zero; -1 where all are. Blocks are compared whole: a guest may have written 2 GiB of them. */
export function firstContent(bytes: Buffer): number {
  for (let at = 0; at < bytes.length; at += zeros.length) {
    const block = bytes.subarray(at, at + zeros.length);
    if (!block.equals(zeros.subarray(0, block.length))) return at + block.findIndex((byte) => byte !== 0);
  }
  return -1;
}

function checkMagic(bytes: Buffer): void {
  const magic = bytes.toString('latin1', 0, 6);
  if (magic !== '070701' && magic !== '070702') throw malformed(`magic ${JSON.stringify(magic)}`);
}

function parseHeader(bytes: Buffer): { mode: number; sizeBytes: number; nameBytes: number } {
  const field = (index: number) => {
    const text = bytes.toString('latin1', 6 + index * 8, 14 + index * 8);
    if (!/^[0-9a-fA-F]{8}$/.test(text)) throw malformed(`header field ${JSON.stringify(text)}`);
    return Number.parseInt(text, 16);
  };
  const header = { mode: field(1), sizeBytes: field(6), nameBytes: field(11) };
  if (header.nameBytes < 1 || header.nameBytes > limits.nameBytes)
    throw malformed(`a name of ${header.nameBytes} bytes`);
  if (header.sizeBytes > limits.entryBytes) throw malformed(`an entry of ${header.sizeBytes} bytes`);
  return header;
}

const malformed = (found: string) => new PermanentError({ what: 'not a newc archive', found, needed: 'magic 070701' });

/** One archive: parents before children (directories are added where missing), a trailer, padded to four bytes. */
export function writeCpio(files: readonly CpioFile[]): Buffer {
  const parts: Buffer[] = [];
  const directories = new Set<string>();
  let inode = 1;
  const add = (file: CpioFile) => parts.push(entryBytes(file, inode++));
  for (const file of files) {
    const folders = file.name.split('/').slice(0, -1);
    for (const depth of folders.keys()) {
      const folder = folders.slice(0, depth + 1).join('/');
      if (directories.has(folder)) continue;
      directories.add(folder);
      add({ name: folder, mode: cpioModes.directory, content: new Uint8Array() });
    }
    add(file);
  }
  parts.push(entryBytes({ name: trailer, mode: 0, content: new Uint8Array() }, 0));
  return Buffer.concat(parts);
}

function entryBytes(file: CpioFile, inode: number): Buffer {
  const name = Buffer.from(`${file.name}\0`, 'utf8');
  const links = (file.mode & typeMask) === 0o040000 ? 2 : 1;
  const fields = [inode, file.mode, 0, 0, links, 0, file.content.length, 0, 0, 0, 0, name.length, 0];
  const header = `070701${fields.map((value) => value.toString(16).padStart(8, '0')).join('')}`;
  const bytes = Buffer.alloc(pad4(pad4(headerBytes + name.length) + file.content.length));
  bytes.write(header, 'latin1');
  name.copy(bytes, headerBytes);
  bytes.set(file.content, pad4(headerBytes + name.length));
  return bytes;
}

const pad4 = (length: number) => (length + 3) & ~3;

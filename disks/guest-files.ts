/**
 * Files of a mounted guest, read and written with limits: every path is followed inside the appliance only, what is read
 * lands in the scratch folder first, and nothing is read whose size was not looked at.
 */
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OperatorError } from '../model/errors';
import type { Guestfish } from './guestfish';
import { printable } from './guestfish-words';

const maxTextBytes = 1024 * 1024;
/** stat(2): S_IFMT and S_IFREG. */
const fileTypeMask = 0o170000;
const regularFile = 0o100000;
const folder = 0o040000;
const maxListBytes = 1024 * 1024;
/**
 * Up to here content goes as commands and answers, which take 2 ms; a file transfer takes 110 ms whatever its size
 * (measured, TCG, libguestfs 1.48). One message of the appliance's protocol has at most 4 MiB.
 */
const inAnswersBytes = 4 * 1024 * 1024;
const answerBytes = 1024 * 1024;
const inCommandBytes = 64 * 1024;
/** Names that Muster works with; others (line breaks, NULs, leading dashes) are not looked at. */
const plainName = /^[A-Za-z0-9_.@+~:,-]{1,200}$/;

export interface GuestFiles {
  isFile(path: string): Promise<boolean>;
  isFolder(path: string): Promise<boolean>;
  /** Plain names in a folder, sorted; empty where there is no such folder. */
  names(folder: string): Promise<string[]>;
  /** A text file of at most 1 MiB; null where there is none. @throws OperatorError when it is larger. */
  text(path: string): Promise<string | null>;
  /** Copies a file to the scratch folder; null where there is none. @throws OperatorError when it is larger than that. */
  download(path: string, maxBytes: number): Promise<string | null>;
  /** Replaces or creates a text file by way of a temporary name; owner and mode stay, a link is followed. */
  write(path: string, text: string): Promise<void>;
}

/** `scratch`: an empty folder of this session. */
export function guestFiles(guest: Guestfish, scratch: string): GuestFiles {
  let counter = 0;
  const scratchFile = async (path: string) => {
    await mkdir(scratch, { recursive: true, mode: 0o700 });
    return join(scratch, `${counter++}-${path.replace(/[^A-Za-z0-9.]+/g, '_').slice(-60)}`);
  };
  /** Links followed; null where there is nothing. */
  const look = async (path: string): Promise<{ type: number; size: number } | null> => {
    const { output, error } = await guest.attempt('statns', [path]);
    const field = (key: string) => Number(new RegExp(`^${key}: (\\d+)$`, 'm').exec(output)?.[1] ?? Number.NaN);
    return error === null ? { type: field('st_mode') & fileTypeMask, size: field('st_size') } : null;
  };
  /** Of a regular file; null where there is none. @throws OperatorError above the limit. */
  const sizeOf = async (path: string, maxBytes: number): Promise<number | null> => {
    const found = await look(path);
    if (found?.type !== regularFile) return null;
    if (!(found.size <= maxBytes)) throw tooLarge(path, found.size, maxBytes);
    return found.size;
  };
  const pread = (path: string, length: number, offset: number) =>
    guest.bytes('pread', [path, String(length), String(offset)]);

  const files: GuestFiles = {
    isFile: async (path) => (await look(path))?.type === regularFile,
    isFolder: async (path) => (await look(path))?.type === folder,
    async names(folder) {
      if (!(await files.isFolder(folder))) return [];
      const target = await scratchFile(folder);
      await guest.ask('ls0', [folder, target]);
      const bytes = await readFile(target);
      if (bytes.length > maxListBytes) throw tooLarge(folder, bytes.length, maxListBytes);
      return bytes
        .toString('utf8')
        .split('\0')
        .filter((name) => plainName.test(name) && !name.startsWith('-'))
        .sort();
    },
    async text(path) {
      const size = await sizeOf(path, maxTextBytes);
      return size === null ? null : (await pread(path, size, 0)).toString('utf8');
    },
    async download(path, maxBytes) {
      const size = await sizeOf(path, maxBytes);
      if (size === null) return null;
      const target = await scratchFile(path);
      if (size > inAnswersBytes) await guest.ask('download', [path, target]);
      else {
        await writeFile(target, '');
        for (let at = 0; at < size; at += answerBytes) {
          await appendFile(target, await pread(path, Math.min(answerBytes, size - at), at));
        }
      }
      return target;
    },
    async write(path, text) {
      const exists = await files.isFile(path);
      const real = exists ? (await guest.ask('realpath', [path])).replace(/\n$/, '') : path;
      const temporary = temporaryName(real);
      await guest.ask('rm-f', [temporary]);
      // cp -a keeps owner, mode and extended attributes; the write then replaces the content only.
      if (exists) await guest.ask('cp-a', [real, temporary]);
      if (Buffer.byteLength(text) <= inCommandBytes) await guest.ask('write', [temporary, text]);
      else {
        const source = await scratchFile(path);
        await writeFile(source, text);
        await guest.ask('upload', [source, temporary]);
      }
      if (!exists) await guest.ask('chmod', ['0644', temporary]);
      await guest.ask('rename', [temporary, real]);
    },
  };
  return files;
}

/** Beside the file, so that the rename stays within its filesystem. */
export function temporaryName(path: string): string {
  const at = path.lastIndexOf('/') + 1;
  return `${path.slice(0, at)}.muster-${path.slice(at)}.new`;
}

const tooLarge = (path: string, size: number, limit: number) =>
  new OperatorError({
    what: `${printable(path)} in the guest is not what it should be`,
    found: `${size} bytes`,
    needed: `at most ${limit} bytes`,
    remedy: 'Look at the recovery point with guestfish, or choose an earlier one.',
  });

/**
 * Files of a mounted guest, read and written with limits: every path is followed inside the appliance only, what is read
 * lands in the scratch folder first, and nothing is read whose size was not looked at.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OperatorError } from '../model/errors';
import type { Guestfish } from './guestfish';
import { printable } from './guestfish-words';

const maxTextBytes = 1024 * 1024;
/** stat(2): S_IFMT and S_IFREG. */
const fileTypeMask = 0o170000;
const regularFile = 0o100000;
const maxListBytes = 1024 * 1024;
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
  const yes = async (command: string, args: string[]) => (await guest.ask(command, args)).trim() === 'true';

  /** Of a regular file, links followed, asked in one command; null where there is none. @throws OperatorError above the limit. */
  const sizeOf = async (path: string, maxBytes: number): Promise<number | null> => {
    const { output, error } = await guest.attempt('statns', [path]);
    const field = (key: string) => Number(new RegExp(`^${key}: (\\d+)$`, 'm').exec(output)?.[1] ?? Number.NaN);
    if (error !== null || (field('st_mode') & fileTypeMask) !== regularFile) return null;
    const size = field('st_size');
    if (!(size <= maxBytes)) throw tooLarge(path, size, maxBytes);
    return size;
  };

  const files: GuestFiles = {
    isFile: (path) => yes('is-file', [path, 'followsymlinks:true']),
    isFolder: (path) => yes('is-dir', [path, 'followsymlinks:true']),
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
      // An answer instead of a file transfer: three times quicker for the small files that these are (measured, TCG).
      // guestfish ends every answer with a line break of its own.
      return (await sizeOf(path, maxTextBytes)) === null ? null : (await guest.ask('cat', [path])).replace(/\n$/, '');
    },
    async download(path, maxBytes) {
      if ((await sizeOf(path, maxBytes)) === null) return null;
      const target = await scratchFile(path);
      await guest.ask('download', [path, target]);
      return target;
    },
    async write(path, text) {
      const exists = await files.isFile(path);
      const real = exists ? (await guest.ask('realpath', [path])).replace(/\n$/, '') : path;
      const temporary = temporaryName(real);
      const source = await scratchFile(path);
      await writeFile(source, text);
      await guest.ask('rm-f', [temporary]);
      // cp -a keeps owner, mode and extended attributes; the upload then replaces the content only.
      if (exists) await guest.ask('cp-a', [real, temporary]);
      await guest.ask('upload', [source, temporary]);
      if (!exists) await guest.ask('chmod', ['0644', temporary]);
      await guest.ask('mv', [temporary, real]);
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

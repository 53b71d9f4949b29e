/**
 * What was read of a guest to reach a conclusion, so that somebody can look later whether the conclusion still holds:
 * the same paths are the same files, folders and absences. A file is taken for the same by size, inode and both times to
 * the nanosecond (its inode change time cannot be set back from within a system); text also by its content.
 */
import { createHash } from 'node:crypto';
import { copyFile, readFile } from 'node:fs/promises';
import { z } from 'zod';
import { PermanentError } from '../../model/errors';
import type { GuestFiles } from '../guest-files';
import type { Guestfish } from '../guestfish';

export const seenSchema = z.object({
  path: z.string(),
  is: z.enum(['file', 'folder', 'other', 'absent']),
  sizeBytes: z.number(),
  inode: z.string(),
  /** Seconds since 1970 and nanoseconds, `1700000000.000000000`. */
  modified: z.string(),
  changed: z.string(),
  /** SHA-256 of a text that was read, or of a folder's names; null where neither was. */
  content: z.string().nullable(),
});
export type Seen = z.infer<typeof seenSchema>;

/** stat(2): S_IFMT, S_IFREG, S_IFDIR. */
const kinds = new Map([
  [0o100000, 'file'],
  [0o040000, 'folder'],
] as const);
const absent = { is: 'absent', sizeBytes: 0, inode: '', modified: '', changed: '' } as const;

/** Links followed. */
export async function lookAtPath(guest: Guestfish, path: string): Promise<Omit<Seen, 'content'>> {
  const { output, error } = await guest.attempt('statns', [path]);
  if (error !== null) return { path, ...absent };
  const field = (key: string) => new RegExp(`^${key}: (\\d+)$`, 'm').exec(output)?.[1] ?? '';
  const time = (key: string) => `${field(`${key}_sec`)}.${field(`${key}_nsec`).padStart(9, '0')}`;
  const kind = kinds.get((Number(field('st_mode')) & 0o170000) as 0o100000) ?? 'other';
  return {
    ...{ path, is: kind, sizeBytes: Number(field('st_size')), inode: field('st_ino') },
    ...{ modified: time('st_mtime'), changed: time('st_ctime') },
  };
}

export const digestOf = (value: unknown): string =>
  createHash('sha256')
    .update(Buffer.isBuffer(value) ? value : JSON.stringify(value))
    .digest('hex');

export interface SeenFiles extends GuestFiles {
  /** Every path that was asked about, as it is now. */
  seen(): Promise<Seen[]>;
}

/** What several readers share, so that each file is fetched once. */
export type FileCache = Map<string, Promise<unknown>>;

/** The guest's files, mounted for reading and not changing; remembers what was asked. */
export function seenFiles(guest: Guestfish, files: GuestFiles, cache: FileCache): SeenFiles {
  const contents = new Map<string, string | null>();
  const once = <T>(key: string, ask: () => Promise<T>): Promise<T> => {
    if (!cache.has(key)) cache.set(key, ask());
    return cache.get(key) as Promise<T>;
  };
  const note = (path: string, content: string | null) => {
    if (content !== null || !contents.has(path)) contents.set(path, content);
  };
  let copies = 0;
  return {
    async isFile(path) {
      note(path, null);
      return once(`isFile ${path}`, () => files.isFile(path));
    },
    async isFolder(path) {
      note(path, null);
      return once(`isFolder ${path}`, () => files.isFolder(path));
    },
    async names(folder) {
      const names = await once(`names ${folder}`, () => files.names(folder));
      note(folder, digestOf(names));
      return names;
    },
    async text(path) {
      const text = await once(`text ${path}`, () => files.text(path));
      note(path, text === null ? null : digestOf(text));
      return text;
    },
    async download(path, maxBytes) {
      note(path, null);
      const local = await once(`download ${path}`, () => files.download(path, maxBytes));
      if (local === null) return null;
      // Who gets a file may remove it or put others beside it.
      const own = `${local}.${copies++}`;
      await copyFile(local, own);
      return own;
    },
    write: notWritten,
    async seen() {
      const seen: Seen[] = [];
      for (const [path, content] of contents) {
        const found = await once(`look ${path}`, () => lookAtPath(guest, path));
        seen.push({ ...found, content: found.is === 'absent' ? null : content });
      }
      return seen;
    },
  };
}

/** The first path that is not what was seen; null when all are. */
export async function firstChange(guest: Guestfish, files: GuestFiles, seen: readonly Seen[]): Promise<string | null> {
  for (const before of seen) {
    const now = await lookAtPath(guest, before.path);
    const same =
      now.is === before.is &&
      (now.is !== 'file' ||
        (now.sizeBytes === before.sizeBytes &&
          now.inode === before.inode &&
          now.modified === before.modified &&
          now.changed === before.changed));
    if (!same) return before.path;
    if (before.content !== null && (await contentNow(files, before)) !== before.content) return before.path;
  }
  return null;
}

async function contentNow(files: GuestFiles, { path, is }: Seen): Promise<string> {
  return digestOf(is === 'folder' ? await files.names(path) : await files.text(path));
}

/** The files as they will be once `texts` are written and `replaced` have local copies as their content. */
export function plannedFiles(
  files: GuestFiles,
  texts: ReadonlyMap<string, string>,
  replaced: ReadonlyMap<string, string>,
): GuestFiles {
  const written = new Set([...texts.keys(), ...replaced.keys()]);
  const within = (folder: string) =>
    [...written]
      .filter((path) => path.slice(0, path.lastIndexOf('/')) === folder)
      .map((p) => p.slice(folder.length + 1));
  return {
    write: notWritten,
    isFile: async (path) => written.has(path) || files.isFile(path),
    isFolder: async (path) => within(path).length > 0 || files.isFolder(path),
    names: async (folder) => [...new Set([...(await files.names(folder)), ...within(folder)])].sort(),
    text: async (path) => texts.get(path) ?? files.text(path),
    async download(path, maxBytes) {
      const local = replaced.get(path);
      if (local === undefined) return files.download(path, maxBytes);
      const copy = `${local}.planned`;
      await copyFile(local, copy);
      return copy;
    },
  };
}

const notWritten = () => Promise.reject(new PermanentError('files that are only looked at cannot be written'));

/** SHA-256 of a local file. */
export const fileSha256 = async (path: string): Promise<string> => digestOf(await readFile(path));

/**
 * Small JSON files that survive a crash: written beside, fsynced, renamed, folder fsynced. Read with care, because what
 * lies on shared storage may be damaged, of another version, or not a file at all.
 */
import { constants, type StatsBase } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ZodType } from 'zod';
import { isMusterError, OperatorError } from '../model/errors';
import { printable } from '../model/names';
import { storageProblem } from './storage-problems';

/** Suffix of files that are being written; whatever has it after a crash is a leftover. */
export const temporarySuffix = '.new';

/** A manifest of sixteen disks has some ten thousand bytes; what is far larger is none of ours. */
const longestDocumentBytes = 1024 * 1024;

/**
 * Replaces the file in one step; after the return a power loss does not undo it.
 * @throws TransientError when the storage is full, OperatorError when it cannot be written; the old file stays as it was.
 */
export async function writeDurably(path: string, value: unknown): Promise<void> {
  try {
    const file = await open(path + temporarySuffix, 'w', 0o600);
    try {
      await file.writeFile(`${JSON.stringify(value, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(path + temporarySuffix, path);
    await syncPath(dirname(path));
  } catch (error) {
    throw storageProblem(error, path) ?? error;
  }
}

/** Removes the file for good. Absent: already so. */
export async function removeDurably(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
    await syncPath(dirname(path));
  } catch (error) {
    throw storageProblem(error, path) ?? error;
  }
}

/** fsync of a file or folder. */
export async function syncPath(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * The file's JSON; undefined when there is no file. Never waits on a pipe, never follows a link.
 * @throws OperatorError when it is damaged, too long, or no regular file.
 */
export async function readJson(path: string): Promise<unknown> {
  const text = await readText(path);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw unreadable(path, `damaged JSON (${(error as Error).message})`, 'the whole file as Muster wrote it', error);
  }
}

export interface DocumentOptions {
  /** The newest format that is understood. */
  readonly format?: number;
  /** What else is wrong with it, in words. */
  readonly problemOf?: (document: unknown) => string | undefined;
}

/** The same, in the shape that the schema gives. @throws OperatorError naming the first thing that does not fit. */
export async function readDocument<T>(
  path: string,
  schema: ZodType<T>,
  { format = 1, problemOf = () => undefined }: DocumentOptions = {},
): Promise<T | undefined> {
  const found = await readJson(path);
  if (found === undefined) return undefined;
  const given = typeof found === 'object' && found !== null && 'format' in found ? found.format : undefined;
  if (typeof given === 'number' && given > format) {
    throw unreadable(path, `format ${given}, written by a newer Muster`, `format ${format}`);
  }
  const problem = problemOf(found);
  if (problem !== undefined) throw unreadable(path, problem, 'the content as Muster wrote it');
  const result = schema.safeParse(found);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const at = issue!.path.join('.');
  throw unreadable(path, `${at === '' ? 'its content' : at}: ${issue!.message}`, 'the shape that Muster writes');
}

async function readText(path: string): Promise<string | undefined> {
  let file;
  try {
    // O_NONBLOCK: a pipe in the file's place is opened at once, seen for what it is and closed.
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    if (code === 'ELOOP') throw unreadable(path, 'a symbolic link', 'a regular file', error);
    if (code === 'ENXIO') throw unreadable(path, 'a socket or device', 'a regular file', error);
    throw storageProblem(error, path) ?? error;
  }
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw unreadable(path, kindOf(stats), 'a regular file');
    if (stats.size > longestDocumentBytes) {
      throw unreadable(path, `${stats.size} bytes`, `at most ${longestDocumentBytes} bytes`);
    }
    return await file.readFile('utf8');
  } catch (error) {
    throw isMusterError(error) ? error : (storageProblem(error, path) ?? error);
  } finally {
    await file.close();
  }
}

/** What lies there, in a word. */
export function kindOf(stats: StatsBase<unknown>): string {
  if (stats.isFile()) return 'a regular file';
  if (stats.isDirectory()) return 'a folder';
  if (stats.isSymbolicLink()) return 'a symbolic link';
  return stats.isFIFO() ? 'a pipe' : 'a socket or device';
}

function unreadable(path: string, found: string, needed: string, cause?: unknown): OperatorError {
  return new OperatorError(
    {
      what: `${printable(path)} cannot be used`,
      found: printable(found).slice(0, 300),
      needed,
      remedy: 'Put the file back from a copy of the storage, or use the Muster version that wrote it.',
    },
    { cause },
  );
}

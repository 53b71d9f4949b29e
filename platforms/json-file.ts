/** JSON files that are either the old or the new version, whatever moment a process is killed at. */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PermanentError } from '../model/errors';

/** Files of a folder that are read at the same time; many calls at once share the process' limit of open files. */
export const filesAtOnce = 16;

/** The file's value, or undefined where there is no such file. @throws PermanentError when it is not JSON. */
export async function readJson<T>(path: string): Promise<T | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new PermanentError(
      { what: `${path} is not JSON`, found: text.slice(0, 60), needed: 'the file that Muster wrote' },
      { cause },
    );
  }
}

/**
 * Replaces the file in one step. It survives a killed process; `durable`: a loss of power as well.
 * `alone`: the caller holds a lock on the file; what a killed process left of its draft then goes with the next write.
 */
export async function writeJson(
  path: string,
  value: unknown,
  options: { durable?: boolean; alone?: boolean } = {},
): Promise<void> {
  const temporary = options.alone === true ? `${path}.new` : `${path}.${randomUUID()}.new`;
  const text = `${JSON.stringify(value)}\n`;
  const flush = options.durable === true;
  try {
    await writeFile(temporary, text, { flush }).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      await mkdir(dirname(path), { recursive: true });
      await writeFile(temporary, text, { flush });
    });
    await rename(temporary, path);
    if (flush) await syncFolder(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Removes the file for good, a loss of power included. Absent: already so. */
export async function removeJson(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncFolder(dirname(path)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Small JSON files that survive a crash: written beside, fsynced, renamed, folder fsynced. */
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Suffix of files that are being written; whatever has it after a crash is a leftover. */
export const temporarySuffix = '.new';

/** Replaces the file in one step; after the return a power loss does not undo it. */
export async function writeDurably(path: string, value: unknown): Promise<void> {
  const file = await open(path + temporarySuffix, 'w', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(value, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(path + temporarySuffix, path);
  await syncPath(dirname(path));
}

/** Removes the file for good. Absent: already so. */
export async function removeDurably(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncPath(dirname(path));
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

/** The file's JSON; undefined when there is no file. @throws SyntaxError when it is damaged. */
export async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

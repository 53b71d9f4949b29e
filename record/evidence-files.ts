/** The files under an evidence store: written beside their place, fsynced, moved, hashed again. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PermanentError } from '../model/errors';

export type EvidenceVerdict =
  | { readonly ok: true; readonly sizeBytes: number }
  | { readonly ok: false; readonly why: 'missing' | 'changed'; readonly found: string | null };

/** A draft this much older than another was left by a process that is gone. */
const draftLifeMs = 24 * 3_600_000;

/** Writes a new file, hashing on the way. @throws PermanentError when it grows above the limit */
export async function writeDraft(
  draft: string,
  chunks: AsyncIterable<Uint8Array>,
  label: string,
  maxBytes: number,
): Promise<{ sha256: string; sizeBytes: number }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  // Read-only from the start: evidence is never written again.
  const handle = await open(draft, 'wx', 0o440);
  try {
    for await (const chunk of chunks) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > maxBytes) throw tooLarge(label, maxBytes);
      hash.update(chunk);
      await writeAll(handle, chunk);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  return { sha256: hash.digest('hex'), sizeBytes };
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  let offset = 0;
  while (offset < chunk.byteLength) offset += (await handle.write(chunk, offset)).bytesWritten;
}

/** Two writers of one content race to the same bytes, so whoever renames last changes nothing. */
export async function placeDraft(draft: string, path: string): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o750 });
  await rename(draft, path);
  for (const one of [folder, dirname(folder)]) await syncFolder(one);
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Hashes what is there. */
export async function verifyFile(path: string, sha256: string): Promise<EvidenceVerdict> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  try {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      sizeBytes += chunk.byteLength;
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { ok: false, why: 'missing', found: null };
    throw error;
  }
  const found = hash.digest('hex');
  return found === sha256 ? { ok: true, sizeBytes } : { ok: false, why: 'changed', found };
}

/**
 * Removes drafts that a killed process left beside this one. Ages are compared by the file system's own clock, because
 * the folder may be on storage shared by machines whose clocks differ. Never fails: the next process tries again.
 */
export async function sweepDrafts(draft: string): Promise<void> {
  const folder = dirname(draft);
  try {
    const { mtimeMs: nowMs } = await stat(draft);
    for (const name of await readdir(folder)) {
      const other = join(folder, name);
      const { mtimeMs } = await stat(other);
      if (nowMs - mtimeMs > draftLifeMs) await rm(other, { force: true });
    }
  } catch {
    // Another process sweeps at the same time, or the folder is not ours to clean.
  }
}

/** undefined instead of ENOENT. */
export async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function tooLarge(label: string, maxBytes: number): PermanentError {
  return new PermanentError({
    what: `${label} is too large to be kept as evidence`,
    found: `more than ${maxBytes} bytes`,
    needed: `at most ${maxBytes} bytes`,
    remedy: 'Keep a part of it, or raise the limit of evidence files.',
  });
}

/** The errno name of a failed file operation; '' for any other error. */
export function errnoOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : '';
}

/** What the storage of replicas answers when it is full, read-only or failing, as errors that say what to do. */
import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';
import { OperatorError, TransientError, type MusterError } from '../model/errors';
import { ProgramError } from '../programs/run';

/** How each condition shows: as Node's error code, and in the last words of a program (strerror, C locale). */
const conditions = [
  { code: 'ENOSPC', words: 'No space left on device', found: 'no space left' },
  { code: 'EDQUOT', words: 'Disk quota exceeded', found: 'the quota is used up' },
  { code: 'EROFS', words: 'Read-only file system', found: 'a read-only filesystem' },
  { code: 'EIO', words: 'Input/output error', found: 'an input/output error' },
  { code: 'ESTALE', words: 'Stale file handle', found: 'a stale handle: the storage was mounted anew' },
  { code: 'EACCES', words: 'Permission denied', found: 'permission denied' },
  { code: 'EPERM', words: 'Operation not permitted', found: 'operation not permitted' },
  { code: 'ENOTDIR', words: 'Not a directory', found: 'a file where a folder belongs' },
] as const;

const remedies: Readonly<Record<(typeof conditions)[number]['code'], string>> = {
  ENOSPC: 'Free space there or make the storage larger; the same step is tried again.',
  EDQUOT: 'Raise the quota or free space; the same step is tried again.',
  EROFS: 'Look at the kernel’s log (`dmesg`) for why; mend the storage, mount it writable, then retry.',
  EIO: 'Look at the kernel’s log (`dmesg`): the storage may be failing. Move the replica away from it, then retry.',
  ESTALE: 'Restart the worker so that it opens the storage anew, then retry.',
  EACCES: 'Give the worker’s user the right to read and write there, then retry.',
  EPERM: 'Remove what forbids the change (`lsattr` shows immutable files), then retry.',
  ENOTDIR: 'Move the file away and put the folder back, then retry.',
};

/**
 * The error of a file operation or of a program, when it was the storage that refused; undefined for any other.
 * Space comes back by itself (a merge, a rotation), so a full storage is transient; the others wait for a person.
 */
export function storageProblem(error: unknown, path: string): MusterError | undefined {
  const condition = conditionOf(error);
  if (condition === undefined) return undefined;
  const { code, found } = condition;
  const facts = {
    what: `the storage of the replica cannot be used: ${path}`,
    found,
    needed: `a folder ${dirname(path)} that can be read and written`,
    remedy: remedies[code],
    ...(error instanceof ProgramError ? { detail: error.message } : {}),
  };
  const options = { cause: error };
  return code === 'ENOSPC' || code === 'EDQUOT'
    ? new TransientError(facts, options)
    : new OperatorError(facts, options);
}

/** The same driver; where the storage refuses, each method says so. Every method must return a promise. */
export function namingStorage<T extends object>(driver: T, folder: string): T {
  return new Proxy(driver, {
    get(target, property, receiver) {
      const value: unknown = Reflect.get(target, property, receiver);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]): Promise<unknown> => {
        try {
          return await (value.apply(target, args) as Promise<unknown>);
        } catch (error) {
          throw storageProblem(error, pathOf(error) ?? folder) ?? error;
        }
      };
    },
  });
}

function pathOf(error: unknown): string | undefined {
  const path = typeof error === 'object' && error !== null && 'path' in error ? error.path : undefined;
  return typeof path === 'string' ? path : undefined;
}

function conditionOf(error: unknown): (typeof conditions)[number] | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  if (error instanceof ProgramError) {
    const said = error.stderr.trim().split('\n').slice(-3).join('\n');
    // The target server's program says no more when there is no room for its pid file (QEMU 7.2, seen).
    if (said.includes('Failed to write pid file')) return conditions[0];
    return conditions.find(({ words }) => said.includes(words));
  }
  const { code, syscall, path } = error as Partial<NodeJS.ErrnoException>;
  // A recursive mkdir on a read-only filesystem answers ENOENT (Node 20.20, seen), so the folder is asked.
  const actual = code === 'ENOENT' && syscall === 'mkdir' && path !== undefined ? refusalOf(dirname(path)) : code;
  return conditions.find((condition) => condition.code === actual);
}

/** Why the folder cannot be written to; undefined: it can. */
function refusalOf(folder: string): string | undefined {
  try {
    accessSync(folder, constants.W_OK);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}

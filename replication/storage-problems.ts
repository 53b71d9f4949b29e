/** What the storage of replicas answers when it is full, read-only or failing, as errors that say what to do. */
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

function conditionOf(error: unknown): (typeof conditions)[number] | undefined {
  if (error instanceof ProgramError) {
    const said = error.stderr.trim().split('\n').slice(-3).join('\n');
    return conditions.find(({ words }) => said.includes(words));
  }
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return conditions.find((condition) => condition.code === code);
}

/**
 * One `muster up` per data folder. The lock is the kernel's (programs/exclusive-file): a kill -9 leaves no stale lock, and a reused
 * process id cannot be taken for a holder.
 */
import { chmod } from 'node:fs/promises';
import { takeFile } from '../programs/exclusive-file';
import { StackError } from './exit-codes';

export interface FolderLock {
  release(): Promise<void>;
}

/**
 * @throws StackError `already-running` when another process holds the lock (`who` says who, if that is known), `folder-not-usable`
 * when the file cannot be made or locked.
 */
export async function lockFolder(lockFile: string, who: () => Promise<string>): Promise<FolderLock> {
  const release = await takeFile(lockFile, { waitMs: 0 }).catch((error: Error) => {
    throw new StackError('folder-not-usable', {
      what: `the lock file ${lockFile} cannot be locked`,
      found: error.message,
      remedy: 'Check that the folder can be written and that its file system can lock files.',
    });
  });
  if (release === undefined) {
    throw new StackError('already-running', {
      what: 'another `muster up` works on this data folder',
      found: await who(),
      remedy: 'Use that one, stop it first, or set MUSTER_DATA_FOLDER and the ports to run a second one.',
    });
  }
  // Made by an earlier version or another umask: a lock that others can open is one that they can hold.
  await chmod(lockFile, 0o600);
  return { release };
}

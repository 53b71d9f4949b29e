/**
 * One `muster up` per data folder. The lock is the kernel's (flock), held by a child that ends with this process, so a
 * kill -9 leaves no stale lock and a reused process id cannot be taken for a holder.
 */
import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { withoutSecretVariables } from '../programs/environment';
import { StackError } from './exit-codes';

export interface FolderLock {
  release(): Promise<void>;
}

/** Exit code by which flock(1) says that somebody else has the lock. */
const takenExitCode = 75;
const holdUntilInputCloses = ['sh', '-c', 'echo locked; exec cat'];

/** @throws StackError `already-running` when another process holds the lock. `who` says who, if that is known. */
export async function lockFolder(lockFile: string, who: () => Promise<string>): Promise<FolderLock> {
  // Made before flock makes it: a lock that others could open is one that they could hold. Why it cannot be made, flock says.
  const file = await open(lockFile, 'a', 0o600).catch(() => undefined);
  await file?.chmod(0o600);
  await file?.close();
  const flock = ['flock', '--nonblock', '-E', String(takenExitCode), '--no-fork', lockFile, ...holdUntilInputCloses];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...flock], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: withoutSecretVariables(process.env),
    // A group of its own: Ctrl-C in a terminal must not end the lock before the parts have stopped.
    detached: true,
  });
  child.stdin.on('error', () => undefined);
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code));
  });
  const locked = new Promise<'locked'>((resolve) => child.stdout.once('data', () => resolve('locked')));
  const outcome = await Promise.race([locked, ended]).catch((error: Error) => error.message);
  if (outcome === 'locked') {
    return {
      async release() {
        child.stdin.end();
        await ended;
      },
    };
  }
  if (outcome === takenExitCode) {
    throw new StackError('already-running', {
      what: 'another `muster up` works on this data folder',
      found: await who(),
      remedy: 'Use that one, stop it first, or set MUSTER_DATA_FOLDER and the ports to run a second one.',
    });
  }
  throw new StackError('folder-not-usable', {
    what: `the lock file ${lockFile} cannot be locked`,
    found: `flock ended with ${outcome}`,
    remedy: 'Check that the folder can be written and that flock (package util-linux) is installed.',
  });
}

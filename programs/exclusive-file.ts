/**
 * A file that one holder has at a time, across processes and containers that share it.
 *
 * The lock is the kernel's, on an open file description (F_OFD_SETLK, fcntl(2)): it ends with this process however that ends, so
 * that there is no stale lock to judge, and no program stands between it and whom it protects. It excludes two holders in one
 * process as well. It is advisory, and flock(2) does not see it: fcntl(2) does, and lslocks(8).
 */
import { close, open } from 'node:fs';
import { promisify } from 'node:util';
import { tryLock, unlock } from 'fs-native-extensions';
import { lookAgain } from './look-again';
import { takeTurn } from './turns';

/**
 * Takes `file`, which is made (mode 600) when it is not there; whoever gets it gives it back by the function that is returned.
 *
 * @returns undefined when somebody else kept it for `waitMs`; 0 waits for nobody.
 * @throws the signal's reason when it fires first; the error of open(2) or fcntl(2) when the file cannot be opened or locked.
 */
export async function takeFile(
  file: string,
  { waitMs, signal }: { waitMs: number; signal?: AbortSignal | undefined },
): Promise<(() => Promise<void>) | undefined> {
  const until = performance.now() + waitMs;
  const endTurn = await takeTurn(file, { waitMs, signal });
  if (endTurn === undefined) return undefined;
  // A number, not a FileHandle: nothing may close it but us.
  let fd: number | undefined;
  let held = false;
  const giveBack = async (): Promise<void> => {
    const mine = fd;
    fd = undefined;
    try {
      if (mine === undefined) return;
      // Closing alone would leave the lock to a child that is being forked in this moment, until it runs its program.
      if (held) unlock(mine);
      await promisify(close)(mine);
    } finally {
      endTurn();
    }
  };
  try {
    const opened = (fd = await promisify(open)(file, 'a', 0o600));
    held = (await lookAgain(() => tryLock(opened) || undefined, { until, signal })) ?? false;
  } finally {
    if (!held) await giveBack();
  }
  return held ? giveBack : undefined;
}

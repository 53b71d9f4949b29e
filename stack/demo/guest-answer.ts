/** What a program in a guest prints, and waiting until it says what it should. */
import { setTimeout as sleep } from 'node:timers/promises';
import { formatDuration } from '../../model/durations';
import { isMusterError } from '../../model/errors';
import type { Platform } from '../../platforms/contract';
import { StackError } from '../exit-codes';

/** Undefined while the guest's agent does not answer, or the program fails. */
export async function answerOf(
  platform: Platform,
  machine: string,
  path: string,
  args: readonly string[] = [],
): Promise<string | undefined> {
  try {
    const { exitCode, stdout } = await platform.runInGuest(machine, { path, args, timeoutMs: 20_000 });
    return exitCode === 0 ? stdout.trim() : undefined;
  } catch (error) {
    if (isMusterError(error) && error.family === 'TransientError') return undefined;
    throw error;
  }
}

/** Many times what three guests need on two emulated processors; one that waits for a person by then, waits for ever. */
const patienceMs = 20 * 60_000;

/** Asks until there is an answer. @throws StackError when `machine` gave none for so long */
export async function untilAnswered<T>(machine: string, ask: () => Promise<T | undefined>): Promise<T> {
  for (const endsAt = performance.now() + patienceMs; performance.now() < endsAt; await sleep(1_000)) {
    const answer = await ask();
    if (answer !== undefined) return answer;
  }
  throw new StackError('part-not-up', {
    what: `the demo's server ${machine} does not do its work`,
    found: `no good answer from inside within ${formatDuration(patienceMs)}`,
    needed: 'a service that says that it is well',
    remedy: 'Try again when this machine has less to do, or on one with hardware virtualisation.',
  });
}

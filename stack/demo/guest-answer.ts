/** What a program in a guest prints. */
import { isMusterError } from '../../model/errors';
import type { Platform } from '../../platforms/contract';

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

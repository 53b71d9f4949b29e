/** Who watches a run for hours waits a moment for an API that is away, or that says that a part of it is. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CliError } from '../exit-codes';

/** Breaks in a row before the API counts as gone. */
export const mostBreaks = 20;
export const pauseAfterBreakMs = 1_000;

/** Asks until there is an answer. @throws CliError `unreachable` when the API stays away; any other at once. */
export async function askPatiently<T>(ask: () => Promise<T>): Promise<T> {
  for (let breaks = 1; ; breaks++) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof CliError) || error.problem !== 'unreachable' || breaks > mostBreaks) throw error;
      await sleep(pauseAfterBreakMs);
    }
  }
}

/** Waiting for what nobody tells: that another process gave up a lock. A look costs some microseconds. */
import { setTimeout as sleep } from 'node:timers/promises';

const firstMs = 2;
/** How long what another process gives up may lie unused. */
const longestMs = 25;

/**
 * Looks, ever less often, until `look` returns something, which is returned.
 *
 * @param until on the clock of `performance.now()`; it is looked at least once
 * @returns undefined when the time was over before
 * @throws the signal's reason when it fires first; what `look` throws
 */
export async function lookAgain<T>(
  look: () => T | undefined | Promise<T | undefined>,
  { until = Infinity, signal }: { until?: number; signal?: AbortSignal | undefined },
): Promise<T | undefined> {
  for (let waitMs = firstMs; ; waitMs = Math.min(2 * waitMs, longestMs)) {
    signal?.throwIfAborted();
    const seen = await look();
    if (seen !== undefined) return seen;
    const leftMs = until - performance.now();
    if (leftMs <= 0) return undefined;
    await sleep(Math.min(waitMs, leftMs), undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted());
  }
}

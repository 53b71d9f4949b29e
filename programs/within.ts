/**
 * Limits of time for what takes a signal.
 *
 * `AbortSignal.any` stands nowhere in Muster (eslint.config.mjs forbids it): it holds its sources weakly. A timeout among them can be
 * collected as garbage, and what it was to end then waits for ever (nodejs/node#57736, seen with 20.20; other versions lose other
 * aborts, #65995). Here timer and listeners hold the signal until the work is over, and nothing stays behind after it.
 */
import { setMaxListeners } from 'node:events';

export interface Bounds {
  /** Each of them ends it, with its own reason. */
  readonly signals: readonly (AbortSignal | undefined)[];
  /** From now on; a longer time than 2^31 - 1 (some 24 days) counts as that. Without it there is no limit of time. */
  readonly ms?: number;
}

/**
 * Runs `work` with a signal that is aborted with the first of `signals`, or after `ms` with a TimeoutError as `AbortSignal.timeout` has it.
 * Resolves as `work` does: work that ignores its signal is waited for all the same.
 */
export async function within<T>({ signals, ms }: Bounds, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const bound = new AbortController();
  const listened = signals.flatMap((signal) =>
    signal === undefined ? [] : [{ signal, end: () => bound.abort(signal.reason) }],
  );
  // Many may hold on to one signal at once, and none of them stays: Node would warn of a leak from the eleventh on. It does not warn
  // of any other's listeners on these signals any more either.
  setMaxListeners(0, bound.signal, ...listened.map(({ signal }) => signal));
  for (const { signal, end } of listened) {
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  }
  const timer = ms === undefined ? undefined : setTimeout(() => bound.abort(tooLate(ms)), Math.min(ms, longestTimerMs));
  try {
    return await work(bound.signal);
  } finally {
    clearTimeout(timer);
    for (const { signal, end } of listened) signal.removeEventListener('abort', end);
  }
}

/** Anything longer would be taken for 1 ms (setTimeout). */
const longestTimerMs = 2 ** 31 - 1;

const tooLate = (ms: number): DOMException => new DOMException(`not done within ${ms} ms`, 'TimeoutError');

/** The promise, or the signal's reason as soon as it is aborted, even when the other side ignores the signal. */
export function orAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const aborted = (): void => reject(signal.reason);
    if (signal.aborted) aborted();
    signal.addEventListener('abort', aborted, { once: true });
    void promise.finally(() => signal.removeEventListener('abort', aborted)).then(resolve, reject);
  });
}

/** As `within`, for what may ignore its signal: then that is not waited for any longer. @throws the reason of its end */
export const inTime = <T>(bounds: Bounds, work: (signal: AbortSignal) => Promise<T>): Promise<T> =>
  within(bounds, (signal) => orAbort(work(signal), signal));

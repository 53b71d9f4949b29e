/** Keeps a part running: when it dies, it is started again, ever more slowly, and a line says so. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describeEnd, type Part } from './part';

export interface Supervised {
  readonly name: string;
  /** Stops the part for good; resolves when it has ended. */
  stop(): Promise<void>;
}

export interface SupervisedPart {
  readonly name: string;
  /** Starts it and resolves when it is ready; a part that is not ready in time, or at the signal, is ended. */
  start(signal: AbortSignal): Promise<Part>;
  /** Ends it in its own way. */
  end(part: Part): Promise<unknown>;
}

export interface BackOff {
  readonly firstMs: number;
  readonly maxMs: number;
  /** A part that ran this long starts over with the first pause. */
  readonly calmMs: number;
}

export const standardBackOff: BackOff = { firstMs: 500, maxMs: 30_000, calmMs: 60_000 };

/**
 * Starts the part and looks after it. `signal` ends the wait for the first start.
 *
 * @throws what `start` or `onStarted` throws at the first start, when the part has ended again; later failures only lead to the next try.
 */
export async function supervise(
  what: SupervisedPart,
  say: (line: string) => void,
  onStarted: (part: Part) => Promise<void>,
  options: { readonly backOff?: BackOff | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<Supervised> {
  const backOff = options.backOff ?? standardBackOff;
  const stopping = new AbortController();
  let part = await what.start(options.signal ?? stopping.signal);
  await onStarted(part).catch(async (error: unknown) => {
    await what.end(part);
    throw error;
  });

  let pauseMs = backOff.firstMs;
  /** Tries until it runs or is to stop. */
  const restart = async (): Promise<boolean> => {
    for (;;) {
      say(`${what.name} is started again in ${pauseMs / 1000} s. Its log is ${part.logFile}.`);
      await sleep(pauseMs, undefined, { signal: stopping.signal }).catch(() => undefined);
      if (stopping.signal.aborted) return false;
      pauseMs = Math.min(pauseMs * 2, backOff.maxMs);
      try {
        part = await what.start(stopping.signal);
        // A part that runs is worth more than the note of it, on a full disk for example.
        await onStarted(part).catch((error: unknown) =>
          say(`${what.name} runs without a note of it: ${wordsOf(error)}`),
        );
        say(`${what.name} runs again.`);
        return true;
      } catch (error) {
        if (stopping.signal.aborted) return false;
        say(wordsOf(error));
      }
    }
  };
  const watch = async (): Promise<void> => {
    do {
      const startedAt = performance.now();
      const end = await part.ended;
      if (stopping.signal.aborted) return;
      if (performance.now() - startedAt > backOff.calmMs) pauseMs = backOff.firstMs;
      say(`${what.name} stopped: ${describeEnd(end)}.`);
    } while (await restart());
  };
  const watching = watch();
  return {
    name: what.name,
    async stop() {
      stopping.abort();
      await what.end(part);
      await watching;
      // A restart may have been under way while the part was being stopped.
      await what.end(part);
    },
  };
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

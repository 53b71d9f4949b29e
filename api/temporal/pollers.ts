/**
 * Which workers poll a queue, by a clock that nobody sets. A poll's time is by Temporal's clock, and beside this host's it says nothing
 * when one of the two is set: a worker is gone when no other poll of it was seen for so long. One that is seen for the first time counts.
 */

export interface Poll {
  /** Of the worker, as it names itself to Temporal. */
  readonly identity: string;
  /** UTC, by Temporal's clock. */
  readonly at: string;
}

export interface Pollers {
  /** Workers among these, all that Temporal names for this queue, that polled within `withinMs`. */
  count(queue: string, polls: readonly Poll[], withinMs: number): number;
}

interface Heard {
  readonly at: string;
  readonly atMs: number;
}

export function rememberPollers(elapsedMs: () => number = () => performance.now()): Pollers {
  const byQueue = new Map<string, ReadonlyMap<string, Heard>>();
  return {
    count(queue, polls, withinMs) {
      const nowMs = elapsedMs();
      const before = byQueue.get(queue);
      const heard = new Map<string, Heard>();
      for (const { identity, at } of polls) {
        const known = before?.get(identity);
        heard.set(identity, known?.at === at ? known : { at, atMs: nowMs });
      }
      // What Temporal has forgotten is forgotten here, too.
      byQueue.set(queue, heard);
      return [...heard.values()].filter(({ atMs }) => nowMs - atMs <= withinMs).length;
    },
  };
}

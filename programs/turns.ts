/** Turns at things that have a name, within this process: one at a time, in the order in which they were asked for. */

/** Who waits for each name that somebody has the turn of. */
const queues = new Map<string, (() => void)[]>();

/**
 * Waits for the turn at `name`. Whoever gets it must end it by the function that is returned; a second call of it does nothing.
 *
 * @returns undefined when the turn did not come within `waitMs`.
 * @throws the signal's reason when it fires before the turn comes.
 */
export async function takeTurn(
  name: string,
  options: { waitMs?: number; signal?: AbortSignal | undefined } = {},
): Promise<(() => void) | undefined> {
  options.signal?.throwIfAborted();
  const queue = queues.get(name);
  if (queue === undefined) queues.set(name, []);
  else if (!(await comes(queue, options))) return undefined;
  let over = false;
  return () => {
    if (over) return;
    over = true;
    const next = queues.get(name)?.shift();
    if (next === undefined) queues.delete(name);
    else next();
  };
}

/** Whether the turn came in time. */
function comes(
  queue: (() => void)[],
  { waitMs, signal }: { waitMs?: number; signal?: AbortSignal | undefined },
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const timer = waitMs === undefined ? undefined : setTimeout(() => leave(() => resolve(false)), waitMs);
    const aborted = (): void => leave(() => reject(signal?.reason));
    const begin = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', aborted);
      resolve(true);
    };
    function leave(say: () => void): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', aborted);
      queue.splice(queue.indexOf(begin), 1);
      say();
    }
    signal?.addEventListener('abort', aborted, { once: true });
    queue.push(begin);
  });
}

/** Garbage, collected while something is waited for: what is only held weakly is lost at once, and not once in some nights. */
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Resolves, or throws, as `work` does. */
export async function whileCollecting<T>(work: Promise<T>): Promise<T> {
  let over = false;
  const collecting = (async () => {
    for (; !over; await sleep(50)) collect();
  })();
  try {
    return await work;
  } finally {
    over = true;
    await collecting;
  }
}

/** Garbage, collected while something is waited for: what is only held weakly is lost at once, and not once in some nights. */
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** What comes later than this comes too late for any of the deadlines that are tested. */
const longestMs = 60_000;

/** Resolves, or throws, as `work` does. */
export async function whileCollecting<T>(work: Promise<T>): Promise<T> {
  let over = false;
  const collecting = (async () => {
    for (const begun = performance.now(); !over && performance.now() - begun < longestMs; await sleep(100)) collect();
  })();
  try {
    return await work;
  } finally {
    over = true;
    await collecting;
  }
}

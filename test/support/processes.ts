/** Processes as /proc tells of them. */
import { readFile } from 'node:fs/promises';

/** Not, once it waits only for somebody who asks how it ended. */
export const isRunning = (pid: number | string): Promise<boolean> =>
  readFile(`/proc/${pid}/stat`, 'utf8').then(
    (stat) => !/\) [ZX] /.test(stat),
    () => false,
  );

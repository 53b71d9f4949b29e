/**
 * Sends a process a signal as soon as a file has so much stored: `node signal-when-grown.mjs FILE MEBIBYTES PIDFILE SIGNAL`.
 *
 * A copy is written at several GiB/s: whoever looks only when a busy machine lets him comes when it is over. This is to be started with
 * a real-time priority (chrt), and does nothing else. Prints `ready` when it looks, and the process's number when it is done.
 */
import { readFileSync, statSync } from 'node:fs';

const [file, mebibytes, pidFile, signal] = process.argv.slice(2);
const still = new Int32Array(new SharedArrayBuffer(4));
process.stdout.write('ready\n');
while ((statSync(file, { throwIfNoEntry: false })?.blocks ?? 0) / 2048 < Number(mebibytes)) {
  Atomics.wait(still, 0, 0, 0.5);
}
const pid = Number.parseInt(readFileSync(pidFile, 'utf8'), 10);
process.kill(pid, signal);
process.stdout.write(`${pid}\n`);

/**
 * What a killed `up` left running. Its parts get a death signal from the kernel, but dying takes a moment, and a port or
 * a database file is not free before. So every start writes down what it started, and the next one waits for it.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { writePrivately } from './data-folder';

interface Trace {
  readonly name: string;
  readonly pid: number;
  /** Start time in clock ticks since boot: with the pid it names one process for good. */
  readonly startTicks: string;
}

export interface Register {
  readonly upPid: number;
  readonly since: string;
  readonly parts: readonly Trace[];
}

interface Started {
  readonly name: string;
  readonly pid: number;
}

/** Notes a process that was just started; it replaces the part's former one. One after the other, for parts start at the same time. */
export function openRegister(file: string): (started: Started) => Promise<void> {
  const running = new Map<string, Started>();
  let last = Promise.resolve();
  return ({ name, pid }) => {
    running.set(name, { name, pid });
    last = last.catch(() => undefined).then(() => writeRegister(file, [...running.values()]));
    return last;
  };
}

async function writeRegister(file: string, running: readonly Started[]): Promise<void> {
  const parts = await Promise.all(
    running.map(async ({ name, pid }) => ({ name, pid, startTicks: (await startTicks(pid)) ?? '' })),
  );
  const register: Register = { upPid: process.pid, since: new Date().toISOString(), parts };
  await writePrivately(file, `${JSON.stringify(register, null, 2)}\n`);
}

export async function readRegister(file: string): Promise<Register | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Register;
  } catch {
    // Absent, or torn when the machine crashed; then nothing of it runs any more.
    return undefined;
  }
}

/** Waits until none of the former `up`'s parts runs; after `graceMs` they get SIGKILL. Call it with the folder locked. */
export async function endLeftovers(file: string, graceMs = 5_000): Promise<string[]> {
  const parts = (await readRegister(file))?.parts ?? [];
  const ended: string[] = [];
  for (const part of parts) {
    if (!(await alive(part))) continue;
    ended.push(`${part.name} (process ${part.pid})`);
    for (let waitedMs = 0; await alive(part); waitedMs += 50) {
      if (waitedMs === graceMs) process.kill(part.pid, 'SIGKILL');
      await sleep(50);
    }
  }
  return ended;
}

async function alive(part: Trace): Promise<boolean> {
  return part.startTicks !== '' && (await startTicks(part.pid)) === part.startTicks;
}

/** Field 22 of /proc/PID/stat, counted after the command's closing bracket; a zombie counts as gone. */
async function startTicks(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return stat === '' || fields[0] === 'Z' ? undefined : fields[19];
}

/** Guests that a killed worker left frozen, looked at by virsh alone. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { agent, uri } from './demo-machine';
import { exitCodeOf } from './tools';

/**
 * Freezes the guest in a process of its own, which is then killed; returns what the guest's agent said of it before. Tried
 * anew, without the watchdog of the time before, where a busy guest did not freeze in the time that it is given.
 */
export async function freezeAndDie(machine: string, limitMs: number): Promise<string> {
  for (let tries = 1; ; tries++) {
    const said = await freezeOnceAndDie(machine, limitMs);
    if (said === 'frozen') return said;
    // One may end by itself meanwhile.
    for (const pid of await watchdogsOf(machine)) await exitCodeOf('kill', '-KILL', String(pid));
    if (tries === 3) return said;
  }
}

async function freezeOnceAndDie(machine: string, limitMs: number): Promise<string> {
  const script = join(__dirname, 'freeze.ts');
  const worker = spawn(process.execPath, ['--import', 'tsx', script, uri, machine, String(limitMs)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said] = (await once(worker.stdout, 'data')) as [Buffer];
  const ended = once(worker, 'exit');
  worker.kill('SIGKILL');
  await ended;
  return said.toString().trim();
}

/** `frozen` or `thawed`, as the guest's agent says. */
export const freezeStatus = (machine: string): Promise<string> =>
  agent<string>(machine, { execute: 'guest-fsfreeze-status' });

export async function untilThawed(machine: string): Promise<void> {
  while ((await freezeStatus(machine)) !== 'thawed') await sleep(200);
}

/** Process ids of the watchdogs for this machine. */
export async function watchdogsOf(machine: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const args = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
      return args.includes(machine) && args.some((arg) => arg.includes('domfsthaw')) ? [Number(pid)] : [];
    }),
  );
  return found.flat();
}

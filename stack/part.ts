/**
 * A long-running program of the stack: started with its output in a log file, watched, and stopped by its process id.
 *
 * It dies with this process even when that is killed by SIGKILL. `setpriv` sets the death signal in the child as the
 * last thing before it becomes the program, because a change of user would clear it (prctl(2), PR_SET_PDEATHSIG).
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { withoutSecretVariables } from '../programs/environment';
import { StackError } from './exit-codes';
import { becomeUser, type SystemUser } from './postgres-binaries';

export interface PartOptions {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly logFile: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Secrets of the environment (MUSTER_SECRET_…) that it gets, too: all, or these variables. Default: none. */
  readonly secrets?: 'all' | readonly string[];
  readonly cwd?: string;
  /** What the kernel sends it when this process dies. */
  readonly deathSignal?: 'KILL' | 'TERM' | 'INT';
  /** Unprivileged user to run as; undefined: the present one. */
  readonly user?: SystemUser | undefined;
}

export interface PartEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Part {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  /** Resolves when the program has ended, however it ended. */
  readonly ended: Promise<PartEnd>;
  running(): boolean;
  /** Sends the signal, waits, then SIGKILL; resolves when the program has ended. */
  stop(signal: NodeJS.Signals, graceMs: number): Promise<PartEnd>;
}

/** argv that runs the program with a death signal, as another user where one is given. */
export function wrapCommand(options: Pick<PartOptions, 'file' | 'args' | 'deathSignal' | 'user'>): string[] {
  const withDeathSignal = ['setpriv', '--pdeathsig', options.deathSignal ?? 'KILL', '--'];
  return [...becomeUser(options.user), ...withDeathSignal, options.file, ...options.args];
}

const withSecrets = (environment: NodeJS.ProcessEnv, names: readonly string[]): NodeJS.ProcessEnv => ({
  ...withoutSecretVariables(environment),
  ...Object.fromEntries(names.map((name) => [name, environment[name]])),
});

/** Starts the program. A program that cannot be started shows as `ended` with code 127 and a line in the log. */
export function startPart(options: PartOptions): Part {
  const log = openSync(options.logFile, 'a', 0o600);
  const [command, ...args] = wrapCommand(options);
  const environment = options.env ?? process.env;
  const child = spawn(command!, args, {
    stdio: ['ignore', log, log],
    env: options.secrets === 'all' ? environment : withSecrets(environment, options.secrets ?? []),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    // A group of its own: Ctrl-C in a terminal reaches `muster up` alone, which then stops the parts in order.
    detached: true,
  });
  closeSync(log);
  let end: PartEnd | undefined;
  const ended = new Promise<PartEnd>((resolve) => {
    child.once('error', () => resolve({ code: 127, signal: null }));
    child.once('exit', (code, signal) => resolve({ code, signal }));
  }).then((value) => (end = value));
  const running = (): boolean => end === undefined;
  return {
    name: options.name,
    pid: child.pid ?? -1,
    logFile: options.logFile,
    ended,
    running,
    async stop(signal, graceMs) {
      if (running()) child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      return ended.finally(() => clearTimeout(timer));
    },
  };
}

/**
 * Waits until `ready` is true.
 *
 * @throws StackError `part-not-up` with the end of the log when the program ends first or the time is over; the reason
 * of `signal` when that is aborted. The program is not stopped.
 */
export async function waitUntilReady(
  part: Part,
  ready: () => Promise<boolean>,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (let pauseMs = 20; ; pauseMs = Math.min(pauseMs * 1.5, 250)) {
    signal?.throwIfAborted();
    if (await ready()) return;
    if (!part.running()) throw await notUp(part, describeEnd(await part.ended));
    if (performance.now() > deadline) throw await notUp(part, `no answer within ${Math.round(timeoutMs / 1000)} s`);
    await Promise.race([sleep(pauseMs), part.ended]);
  }
}

export function describeEnd(end: PartEnd): string {
  return end.signal === null ? `it ended with exit code ${end.code}` : `it was ended by ${end.signal}`;
}

async function notUp(part: Part, found: string): Promise<StackError> {
  return new StackError('part-not-up', {
    what: `${part.name} did not come up`,
    found,
    remedy: `Its log is ${part.logFile}.`,
    detail: await logTail(part.logFile),
  });
}

/** The last lines of a log, which is where programs say what went wrong; empty when there is no log. */
export async function logTail(file: string, lines = 8): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-lines).join('\n');
}

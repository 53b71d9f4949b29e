/**
 * Freezing a guest's filesystems for the blink of an eye in which a point begins, and never for longer: thawed when the
 * work ends, by a watchdog process that outlives this one when it is killed, and by the next copy of any process.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { childEnvironment } from '../programs/environment';
import { silentAgent } from '../programs/virsh-words';
import type { Virsh } from './virsh';

export interface FreezeOptions {
  readonly signal?: AbortSignal | undefined;
  /** After so long the watchdog thaws, whatever became of us. */
  readonly limitMs?: number;
  /** How often the watchdog tells a guest that does not answer. */
  readonly againMs?: number;
}

const agentTimeoutMs = 10_000;
const defaultLimitMs = 15_000;
const defaultAgainMs = 5_000;
/** Watchdogs that still tell a guest; the next one takes over, or they would thaw it in the midst of the next point. */
const telling = new Map<string, ChildProcess>();

/** A program of its own, so that neither SIGKILL of the worker nor its parent-death signal reaches it. */
const watchdogProgram = `
const [limitMs, againMs, uri, machine] = process.argv.slice(1);
const { spawnSync } = require('node:child_process');
const endsAt = Date.now() + Number(limitMs) + 600000;
const thaw = () => {
  const { status, stderr } = spawnSync('virsh', ['-c', uri, 'domfsthaw', machine], { timeout: 60000 });
  // A guest that is too busy to hear its agent is told again, for ten minutes; one that is off or without an agent is not.
  const busy = status === null || /${silentAgent.source}/.test(stderr);
  if (status !== 0 && busy && Date.now() < endsAt) setTimeout(thaw, Number(againMs));
};
setTimeout(thaw, Number(limitMs));
`;

/**
 * Runs `work` between freeze and thaw; `frozen` only when the guest was so all the time. `leftFrozen`: it did not say that it
 * thawed when it was told to, and may be frozen, also where the answer to the freeze did not come; the watchdog tells it again.
 */
export async function whileFrozen<T>(
  virsh: Virsh,
  uri: string,
  machine: string,
  work: () => Promise<T>,
  options: FreezeOptions = {},
): Promise<{ result: T; frozen: boolean; leftFrozen: boolean }> {
  const { limitMs = defaultLimitMs } = options;
  const watchdog = spawn(
    process.execPath,
    ['-e', watchdogProgram, String(limitMs), String(options.againMs ?? defaultAgainMs), uri, machine],
    { detached: true, stdio: 'ignore', env: childEnvironment() },
  );
  watchdog.on('error', () => undefined);
  watchdog.unref();
  const key = `${uri} ${machine}`;
  endWatchdog(telling.get(key));
  telling.delete(key);
  const startedAt = performance.now();
  let done: { result: T; frozen: boolean; inTime: boolean };
  let thawed: boolean;
  try {
    const frozen = await freeze(virsh, machine, options.signal);
    const result = await work();
    // Past the limit the watchdog may have thawed before the point began.
    done = { result, frozen, inTime: performance.now() - startedAt < limitMs };
  } finally {
    thawed = await thaw(virsh, machine);
    if (thawed) endWatchdog(watchdog);
    else telling.set(key, watchdog);
  }
  return { result: done.result, frozen: done.frozen && done.inTime, leftFrozen: !thawed };
}

/** With the virsh that it may be waiting for: it leads a process group of its own. */
function endWatchdog(watchdog: ChildProcess | undefined): void {
  if (watchdog?.pid === undefined || watchdog.exitCode !== null || watchdog.signalCode !== null) return;
  try {
    process.kill(-watchdog.pid);
  } catch {
    // It has just ended.
  }
}

/** Thaws what a killed process left frozen. Returns whether the guest said that it is not frozen: false without an agent's answer. */
export async function thawLeftover(virsh: Virsh, machine: string, signal?: AbortSignal): Promise<boolean> {
  const status = await agent<string>(virsh, machine, 'guest-fsfreeze-status', signal);
  return status === 'thawed' || (status === 'frozen' && (await thaw(virsh, machine)));
}

/** What the agent returns for a command without arguments; undefined when it does not answer. */
export async function agent<T>(
  virsh: Virsh,
  machine: string,
  command: string,
  signal?: AbortSignal,
): Promise<T | undefined> {
  const request = JSON.stringify({ execute: command });
  const args = ['qemu-agent-command', machine, '--timeout', '5', request];
  try {
    return (JSON.parse(await virsh(args, { timeoutMs: agentTimeoutMs, signal })) as { return: T }).return;
  } catch {
    signal?.throwIfAborted();
    return undefined;
  }
}

async function freeze(virsh: Virsh, machine: string, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    await virsh(['domfsfreeze', machine], { timeoutMs: agentTimeoutMs, signal });
    return true;
  } catch {
    signal?.throwIfAborted();
    return false;
  }
}

/** Never cancelled by the caller's signal: a guest must not stay frozen because somebody changed their mind. */
async function thaw(virsh: Virsh, machine: string): Promise<boolean> {
  try {
    await virsh(['domfsthaw', machine], { timeoutMs: agentTimeoutMs });
    return true;
  } catch {
    return false;
  }
}

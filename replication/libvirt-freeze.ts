/**
 * Freezing a guest's filesystems for the blink of an eye in which a point begins, and never for longer: thawed when the
 * work ends, by a watchdog process that outlives this one when it is killed, and by the next copy of any process.
 */
import { spawn } from 'node:child_process';
import type { Virsh } from './virsh';

export interface FreezeOptions {
  readonly signal?: AbortSignal | undefined;
  /** After so long the watchdog thaws, whatever became of us. */
  readonly limitMs?: number;
}

const agentTimeoutMs = 10_000;
const defaultLimitMs = 15_000;
/** A program of its own, so that neither SIGKILL of the worker nor its parent-death signal reaches it. */
const watchdogProgram = `
const [limitMs, uri, machine] = process.argv.slice(1);
const { spawnSync } = require('node:child_process');
setTimeout(() => spawnSync('virsh', ['-c', uri, 'domfsthaw', machine], { timeout: 60000 }), Number(limitMs));
`;

/**
 * Runs `work` between freeze and thaw; `frozen` only when the guest was so all the time. `leftFrozen`: it was frozen and
 * did not thaw when it was told to; the watchdog tells it once more.
 */
export async function whileFrozen<T>(
  virsh: Virsh,
  uri: string,
  machine: string,
  work: () => Promise<T>,
  options: FreezeOptions = {},
): Promise<{ result: T; frozen: boolean; leftFrozen: boolean }> {
  const watchdog = spawn(
    process.execPath,
    ['-e', watchdogProgram, String(options.limitMs ?? defaultLimitMs), uri, machine],
    { detached: true, stdio: 'ignore' },
  );
  watchdog.on('error', () => undefined);
  watchdog.unref();
  const startedAt = performance.now();
  let done: { result: T; frozen: boolean; inTime: boolean };
  let thawed: boolean;
  try {
    const frozen = await freeze(virsh, machine, options.signal);
    const result = await work();
    // Past the limit the watchdog may have thawed before the point began.
    done = { result, frozen, inTime: performance.now() - startedAt < (options.limitMs ?? defaultLimitMs) };
  } finally {
    thawed = await thaw(virsh, machine);
    if (thawed) watchdog.kill();
  }
  return { result: done.result, frozen: done.frozen && done.inTime, leftFrozen: done.frozen && !thawed };
}

/** Thaws what a killed process left frozen. A guest without an agent, or not frozen: already so. */
export async function thawLeftover(virsh: Virsh, machine: string, signal?: AbortSignal): Promise<void> {
  const status = await agent<string>(virsh, machine, 'guest-fsfreeze-status', signal);
  if (status === 'frozen') await thaw(virsh, machine);
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

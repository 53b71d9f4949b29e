/** Power states of a libvirt machine. libvirt's own refusal of what is already so counts as done. */
import { setTimeout as sleep } from 'node:timers/promises';
import { TransientError } from '../../model/errors';
import type { CallOptions, MachineRef, PowerState } from '../contract';
import { onMachine, readDomain, requireOwnDomain, type Host } from './host';

type PowerOptions = CallOptions & { deadlineMs?: number };

const defaultDeadlineMs = 120_000;
const pollMs = 500;

export async function power(
  host: Host,
  ref: MachineRef,
  action: 'on' | 'off' | 'shutdown',
  options: PowerOptions = {},
) {
  if (action === 'shutdown') return shutDown(host, ref, options);
  await onMachine(
    host,
    ref.name,
    async () => {
      const { machine } = await requireOwnDomain(host, ref, options);
      const command = commandFor(action, machine.power);
      if (!command) return;
      try {
        const what = `${ref.name} cannot be switched ${action}`;
        await host.virsh.run(what, [command, machine.uuid], options);
      } catch (error) {
        options.signal?.throwIfAborted();
        // Somebody beside Muster may have been quicker: what counts is the state.
        const now = await readDomain(host, machine.uuid, options);
        if (!now || now.machine.power !== action) throw error;
      }
    },
    options.signal,
  );
}

/** The virsh command that leads there; undefined when it is so already. */
export function commandFor(action: 'on' | 'off', power: PowerState): 'start' | 'resume' | 'destroy' | undefined {
  if (action === 'off') return power === 'off' ? undefined : 'destroy';
  if (power === 'on') return undefined;
  return power === 'paused' ? 'resume' : 'start';
}

/** Asks the agent, or presses the power button, and waits. The lock is not held: pulling the plug stays possible. */
async function shutDown(host: Host, ref: MachineRef, options: PowerOptions): Promise<void> {
  const { machine, agentConnected } = await requireOwnDomain(host, ref, options);
  if (machine.power === 'off') return;
  const deadlineMs = options.deadlineMs ?? defaultDeadlineMs;
  const deadline = Date.now() + deadlineMs;
  const mode = agentConnected ? 'agent' : 'acpi';
  await host.virsh
    .run(`${ref.name} cannot be shut down`, ['shutdown', machine.uuid, '--mode', mode], {
      ...options,
      timeoutMs: deadlineMs,
    })
    .catch((error: unknown) => {
      options.signal?.throwIfAborted();
      // An agent that is shutting down already does not answer any more; whether it works shows in the state below.
      if (mode === 'acpi' && !/domain is not running/.test(String((error as Error).message))) throw error;
    });
  for (;;) {
    const now = await readDomain(host, machine.uuid, options);
    if (!now || now.machine.power === 'off') return;
    if (Date.now() > deadline) throw stillOn(ref.name, deadlineMs, now.machine.power);
    await sleep(pollMs, undefined, options.signal ? { signal: options.signal } : {}).catch((error: unknown) => {
      options.signal?.throwIfAborted();
      throw error;
    });
  }
}

function stillOn(name: string, deadlineMs: number, power: PowerState): TransientError {
  return new TransientError({
    what: `${name} does not shut down`,
    found: `${power} after ${deadlineMs} ms`,
    needed: 'off',
    remedy: 'Look at its console; it can be switched off the hard way.',
  });
}

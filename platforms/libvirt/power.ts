/** Power states of a libvirt machine. libvirt's own refusal of what is already so counts as done. */
import { setTimeout as sleep } from 'node:timers/promises';
import { TransientError } from '../../model/errors';
import type { CallOptions, MachineRef, PowerState } from '../contract';
import type { Domain } from './domain-parse';
import { onMachine, readDomain, requireOwnDomain, type Host } from './host';
import type { VirshOptions } from './virsh';

type PowerOptions = CallOptions & { deadlineMs?: number };

const defaultDeadlineMs = 120_000;
const pollMs = 500;
/** After a question that was taken, and after one that was refused for now. */
const askAgainMs = { taken: 20_000, refused: 2_000 };

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

/**
 * Asks until it is off: what is asked of an agent may get lost, when the guest is too busy to answer libvirt within its five
 * seconds, and a guest takes no notice of the power button before its system is up. The lock is not held: pulling the plug
 * stays possible.
 */
async function shutDown(host: Host, ref: MachineRef, options: PowerOptions): Promise<void> {
  const own = await requireOwnDomain(host, ref, options);
  const deadlineMs = options.deadlineMs ?? defaultDeadlineMs;
  const deadline = performance.now() + deadlineMs;
  let now: Domain | undefined = own;
  let refusal: TransientError | null = null;
  for (let askAt = performance.now(); now && now.machine.power !== 'off';) {
    const leftMs = deadline - performance.now();
    if (leftMs <= 0) throw stillOn(ref.name, deadlineMs, now.machine.power, refusal);
    if (performance.now() >= askAt) {
      refusal = await askToShutDown(host, now, { ...options, timeoutMs: leftMs });
      askAt = performance.now() + (refusal ? askAgainMs.refused : askAgainMs.taken);
    }
    await sleep(pollMs, undefined, options.signal ? { signal: options.signal } : {}).catch((error: unknown) => {
      options.signal?.throwIfAborted();
      throw error;
    });
    now = await readDomain(host, own.machine.uuid, options);
  }
}

/** The agent, and where it does not do it, the power button. What was refused for now is returned: it is asked again. */
async function askToShutDown(
  host: Host,
  { machine, agentConnected }: Domain,
  options: VirshOptions,
): Promise<TransientError | null> {
  const mode = agentConnected ? 'agent,acpi' : 'acpi';
  try {
    await host.virsh.run(`${machine.name} cannot be shut down`, ['shutdown', machine.uuid, '--mode', mode], options);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof TransientError) return error;
    throw error;
  }
  return null;
}

function stillOn(name: string, deadlineMs: number, power: PowerState, refusal: TransientError | null): TransientError {
  return new TransientError({
    what: `${name} does not shut down`,
    found: `${power} after ${deadlineMs} ms${refusal ? `; when it was asked: ${refusal.facts.found}` : ''}`,
    needed: 'off',
    remedy: 'Look at its console; it can be switched off the hard way.',
  });
}

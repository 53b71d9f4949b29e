/**
 * A copy waits for the agent of a guest that starts. libvirt hears of an agent's channel by an event that it does not handle while a backup
 * runs (the backup's job mask lacks VIR_JOB_MODIFY_MIGRATION_SAFE); it has one thread for the events of all machines, so the end of the
 * backup is not handled either. After 30 s the event is dropped, and the agent is taken for absent until it, its machine or libvirtd starts
 * anew: no frozen point, no clock, no program in the guest (tried with libvirt 9.0; qemu_backup.c, qemu_driver.c processSerialChangedEvent).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Domain } from './libvirt-domain';

export interface AgentWait {
  /** Which start of a machine was waited for in vain, by the machine's UUID: it is not waited for again. */
  readonly inVain: Map<string, string>;
  /** Milliseconds for durations. */
  readonly elapsed: () => number;
  readonly pollMs: number;
}

/**
 * Returns the machine as it is when its agent is connected, after `limitMs`, or at once: where it has no channel for one, is off, or was
 * waited for in vain since its start. @throws what `look` throws, and the signal's reason
 */
export async function whenAgentIsHeard(
  { inVain, elapsed, pollMs }: AgentWait,
  look: () => Promise<Domain>,
  limitMs: number,
  signal?: AbortSignal,
): Promise<Domain> {
  const endsAt = elapsed() + limitMs;
  for (;;) {
    const domain = await look();
    const { uuid, startId, agent } = domain;
    if (agent !== 'disconnected' || startId === null) {
      inVain.delete(uuid);
      return domain;
    }
    if (inVain.get(uuid) === startId) return domain;
    if (elapsed() >= endsAt) {
      if (limitMs > 0) inVain.set(uuid, startId);
      return domain;
    }
    await sleep(pollMs, undefined, signal ? { signal } : {}).catch((error: unknown) => {
      signal?.throwIfAborted();
      throw error;
    });
  }
}

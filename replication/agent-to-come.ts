/**
 * A copy that is refused because the guest only starts. libvirt hears of an agent's channel by an event that it does not handle while a
 * backup runs (the backup's job mask lacks VIR_JOB_MODIFY_MIGRATION_SAFE); it has one thread for the events of all machines, so the end of
 * the backup is not handled either. After 30 s the event is dropped, and the agent is taken for absent until it, its machine or libvirtd
 * starts anew: no frozen point, no clock, no program in the guest (tried with libvirt 9.0; qemu_driver.c, processSerialChangedEvent).
 */
import { isMusterError, TransientError } from '../model/errors';
import type { PointManifest } from '../model/replica';
import type { ServerSpec } from '../model/server';
import type { CopyRequest } from './contract';
import type { Domain } from './libvirt-domain';

const word = 'AgentToCome';

/** Not again in a start of the machine that has a point without it, and not where nobody knows of an agent. */
export function agentFirst(
  { os }: Pick<ServerSpec, 'os'>,
  points: readonly Pick<PointManifest, 'clockSkewMs' | 'origin'>[],
): CopyRequest['agentFirst'] {
  // A guest's clock is its agent's answer, as its system is.
  const heard = ({ clockSkewMs }: (typeof points)[number]) => clockSkewMs !== null;
  const newest = points.at(-1);
  if (newest === undefined) return { exceptInStart: null };
  if (os.family === 'unknown' && !points.some(heard)) return undefined;
  return { exceptInStart: heard(newest) ? null : (newest.origin.start ?? null) };
}

/** @throws TransientError `AgentToCome` while the machine's channel is there and nobody in its guest has opened it. */
export function refuseBeforeAgent(machine: string, { agent, start }: Domain, wanted: CopyRequest['agentFirst']): void {
  if (wanted === undefined || agent !== 'disconnected' || start === null || start === wanted.exceptInStart) return;
  throw new TransientError({
    what: `${word}: the guest agent of ${machine} has not come yet`,
    found: 'a channel that the guest has not opened',
    needed: 'an agent that is there before a copy begins',
    remedy: 'It is tried again by itself, and copied without the agent after a while.',
  });
}

export const isAgentToCome = (error: unknown): boolean => isMusterError(error) && error.facts.what.startsWith(word);

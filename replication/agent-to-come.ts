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

/** A number that libvirt gives a start comes again when its host or libvirtd is started anew: it counts while points follow each other. */
const pauseMs = 60_000;

/** Not again in a start of the machine that was waited for in vain, and not where nobody knows of an agent. */
export function agentFirst(
  { os, source, cadence }: Pick<ServerSpec, 'os' | 'source' | 'cadence'>,
  points: readonly Pick<PointManifest, 'clockSkewMs' | 'completedAt' | 'origin'>[],
  now: number,
): CopyRequest['agentFirst'] {
  const newest = points.at(-1);
  if (newest === undefined) return { exceptInStart: null };
  // A guest's clock is its agent's answer, as its system is.
  if (os.family === 'unknown' && points.every(({ clockSkewMs }) => clockSkewMs === null)) return undefined;
  const { siteId, machineName, withoutAgentIn = null } = newest.origin;
  const isSame = siteId === source.siteId && machineName === source.machineName;
  const follows = now - Date.parse(newest.completedAt) < 2 * cadence.pointEveryMs + pauseMs;
  return { exceptInStart: isSame && follows ? withoutAgentIn : null };
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

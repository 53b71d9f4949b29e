/** Small things that several groups of effects share. */
import { machineUuidOf } from '../model/ids';
import type { RecoveryOrder } from '../model/order';
import { isRehearsal } from '../model/rehearsal';
import type { TakenDisk } from '../model/replica';
import type { MachineDisk, MachineRef, Owner } from '../platforms/contract';
import type { Attempt } from './attempt';
import { withLease } from './lease';
import type { ActivityDeps, RecoverySite } from './site';
import { recoverySite } from './site';

export function machineOf(order: RecoveryOrder): MachineRef & { uuid: string; owner: Owner } {
  const owner = { tenantId: order.tenantId, runId: order.runId };
  return { name: order.target.machineName, owner, uuid: machineUuidOf(order.runId) };
}

export function asMachineDisk(disk: TakenDisk): MachineDisk {
  const { diskId, index, path, format, virtualSizeBytes } = disk;
  return { diskId, index, path, format, sizeBytes: virtualSizeBytes };
}

/** Whether the run's disks are copies, which need nothing of the replica once they are whole. */
export const takesCopies = (order: RecoveryOrder): boolean => order.option === 'copy-and-recover';

export const replicaResource = (serverId: string): string => `replica/${serverId}`;
/** Copies are a run's own: its work on them waits for no cycle of the session, and none waits for it. */
export const copiesResource = (runId: string): string => `copies/${runId}`;
export const machineResource = (runId: string): string => `machine/${runId}`;
/** Of the run that makes them. */
export const networksResource = (runId: string): string => `networks/${runId}`;

/** The site of an order, and its effects on the replica, the disks that the run took, or the machine, under their lease. */
export function workAt(
  deps: ActivityDeps,
  order: RecoveryOrder,
  attempt: Attempt,
): {
  site: RecoverySite;
  onReplica: <T>(work: () => Promise<T>) => Promise<T>;
  /** On what the target server has of the run's disks. */
  onDisks: <T>(work: () => Promise<T>) => Promise<T>;
  /** On what is written into them, which may take long. */
  onBytes: <T>(work: () => Promise<T>) => Promise<T>;
  onMachine: <T>(work: () => Promise<T>) => Promise<T>;
} {
  const site = recoverySite(deps.sites, order.target.siteId);
  const under = <T>(resource: string, work: () => Promise<T>): Promise<T> => {
    const askedAt = deps.now();
    const had = (): Promise<T> => {
      deps.observer?.leaseHad(resource.startsWith('machine/') ? 'machine' : 'replica', deps.now() - askedAt);
      return work();
    };
    return withLease(site.leaseFolder, resource, attempt.effect, had, { signal: attempt.signal });
  };
  const onReplica = <T>(work: () => Promise<T>): Promise<T> => under(replicaResource(order.server.id), work);
  const onOwn = <T>(work: () => Promise<T>): Promise<T> => under(copiesResource(order.runId), work);
  // Of a rehearsal's disks the target server is the replica's, but cycles must not wait until an inoculation is done.
  const onBytes = takesCopies(order) || isRehearsal(order) ? onOwn : onReplica;
  return {
    site,
    onReplica,
    onBytes,
    onDisks: (work) => (onBytes === onOwn && !takesCopies(order) ? onReplica(() => onOwn(work)) : onBytes(work)),
    onMachine: (work) => under(machineResource(order.runId), work),
  };
}

/** For durations and waits: the host's own clock may be set back by an hour while something waits for it. */
export const elapsedMs = (): number => Math.round(performance.now());

/** Polls until the answer is not undefined; rejects with the signal's reason when it is aborted. */
export async function until<T>(ask: () => Promise<T | undefined>, everyMs: number, signal: AbortSignal): Promise<T> {
  for (;;) {
    signal.throwIfAborted();
    const answer = await ask();
    if (answer !== undefined) return answer;
    await pause(everyMs, signal);
  }
}

export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const timer = setTimeout(done, ms);
    function done(): void {
      signal.removeEventListener('abort', stop);
      resolve();
    }
    function stop(): void {
      clearTimeout(timer);
      reject(signal.reason);
    }
    signal.addEventListener('abort', stop, { once: true });
  });
}

export function callOptions(attempt: Attempt): { signal: AbortSignal; onProgress: Attempt['progress'] } {
  return { signal: attempt.signal, onProgress: (progress) => attempt.progress(progress) };
}

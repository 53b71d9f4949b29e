/**
 * What push-button recovery declares of itself, in the order in which it happens. Data only, in a file of its own, so
 * that the API, the report and the docs can read it without loading workflow code.
 */
import type { RecoveryOrder } from '../model/order';
import { isRehearsal } from '../model/rehearsal';
import type { ProcedureDeclaration, StepDeclaration } from '../model/steps';
import { cleanUpDeclaration, rehearsalFor, rehearsalOf } from './rehearsal.steps';

const defaults = { undo: null, perDisk: false, skippable: false, provides: [] } as const;

const steps = [
  {
    ...defaults,
    id: 'preflight',
    title: 'Check that the recovery can succeed',
    why: 'A problem found now costs a minute; the same problem found at power-on costs the night. All problems are shown at once.',
    remedy:
      'Mend what the list names (space, network, name, a replica that is too old) and retry. Skip only if you accept each problem named.',
    skippable: true,
    provides: ['machineName', 'memoryBytes', 'cpuCount', 'networks', 'point', 'overwriteDisks'],
  },
  {
    ...defaults,
    id: 'freeze',
    title: 'Freeze the replica at the last complete point',
    why: 'The point that is recovered must not change or be merged away. Where the source still answers, a last cycle brings it up to date. Nothing can be recovered without a point, so this step cannot be skipped.',
    remedy:
      'Look at `muster replicas`. If another run holds the replica, abort that run or wait for it. If no complete point is there, choose another server or restore the replica first.',
    undo: 'Replication goes on; a source that this run stopped is started again.',
    provides: ['point', 'verify'],
  },
  {
    ...defaults,
    id: 'take-disks',
    title: 'Take the disks',
    why: 'Every edit goes to an overlay on the point, or with copy-and-recover to a copy of it, never to the point, so that abort is always possible. Copies stand by themselves: once they are whole, replication goes on. Nothing can go on without disks, so this step cannot be skipped.',
    remedy:
      'Check free space and the target server of this replica (`muster replicas`), then retry: the target server is started again if it is down, and what is copied already is not copied again. If the point was merged away since, go back to the freeze (`muster retry RUN --from freeze --reason …`).',
    undo: 'What was taken is closed and deleted; the points are as before.',
  },
  {
    ...defaults,
    id: 'apply-signature',
    title: 'Apply the signature to each volume',
    why: 'Replica volumes carry no signature so that nothing mounts them by mistake. Without it the recovered system does not find its own volumes.',
    remedy: 'Retry. If blkid still finds no type, the point may be damaged: abort and recover an older point.',
    undo: 'The signatures are taken out of the overlay again.',
    perDisk: true,
    skippable: true,
  },
  {
    ...defaults,
    id: 'inoculate',
    title: 'Inoculate the operating system for its new hardware',
    why: 'The system wakes on other disk and network controllers. Without their drivers in its first boot stage it does not find its root disk.',
    remedy:
      'Read which volume or kernel the message names. A file system that needs repair is repaired on the overlay, then retry. Skip if the system is known to have the drivers; `--set inoculate=false` does the same, and for Windows leaves the registry as it is, too.',
    skippable: true,
    provides: ['inoculate', 'unlockKeys'],
  },
  {
    ...defaults,
    id: 'update-registry',
    title: 'Update the registry',
    why: 'Windows starts only the drivers that its registry names, and gives drive letters by it. Linux has none: recorded as not applicable. Part of inoculation: an order without that leaves the registry as it is.',
    remedy:
      'Read which volume, hive or driver the message names (docs/windows.md). Skip if Windows is known to have the drivers of this hardware.',
    skippable: true,
  },
  {
    ...defaults,
    id: 'suspend-replication',
    title: 'Suspend replication, or note that it goes on',
    why: 'A destructive recovery lets the machine take the replica itself: replication is suspended now and removed on commit. With backup-and-recover it goes on in new layers after the run; with copy-and-recover it goes on already.',
    remedy: 'Retry; the marker is a file beside the manifests, so check that the replica folder can be written.',
    undo: 'The replica is frozen again as it was before this step.',
    skippable: true,
  },
  {
    ...defaults,
    id: 'create-machine',
    title: 'Create the virtual machine',
    why: 'Processors, memory, firmware, controllers and network cards of the target. Without the machine nothing can be handed over, so this step cannot be skipped.',
    remedy:
      "If the name is taken by somebody else's machine, rename that machine, or provide another name (`muster provide RUN --set machineName=… --reason …`).",
    undo: 'The machine is removed; disks are never deleted with it.',
    provides: ['machineName', 'memoryBytes', 'cpuCount', 'networks'],
  },
  {
    ...defaults,
    id: 'hand-over',
    title: 'Hand the disks over to the machine',
    why: 'The target server lets each disk go and the machine gets it. No bytes are copied, except onto the disks of a physical machine. Without disks there is nothing to start, so this step cannot be skipped.',
    remedy:
      'Retry. If the machine already has another disk in this place, somebody changed it: remove that disk first.',
    undo: 'The disk is taken out of the machine and held by the target server again. A disk of a physical machine is made unbootable.',
    perDisk: true,
    provides: ['overwriteDisks'],
  },
  {
    ...defaults,
    id: 'register-disks',
    title: 'Register the disks with the platform',
    why: 'The platform reads size and format by itself: an independent look at what it is going to start.',
    remedy: 'Compare the size found with the size needed. Retry after the storage answers again.',
    undo: "The platform's inventory forgets the disk; the file stays.",
    perDisk: true,
    skippable: true,
  },
  {
    ...defaults,
    id: 'release-disks',
    title: 'Let the target server release each disk',
    why: 'A disk that two programs have open is a disk destroyed. A target server that does not let go is restarted; then it is verified that no lock remains.',
    remedy: 'Find who holds the file (`lsof` on the path named), end that program, then retry.',
    perDisk: true,
    skippable: true,
  },
  {
    ...defaults,
    id: 'power-on',
    title: 'Power on',
    why: 'The moment of no innocence: two machines of one name and address must never answer at once. In a recovery a person decides while the source still answers; a rehearsal asserts its isolation instead.',
    remedy: 'Make sure that the source is down or cut off, then approve. Or power the machine on by hand and skip.',
    undo: 'The machine is powered off.',
    skippable: true,
  },
  {
    ...defaults,
    id: 'prove-boot',
    title: 'Prove the boot',
    why: 'Powered on is not recovered. Heartbeat, stability, the service asked from inside, a screenshot: each with its own evidence.',
    remedy:
      'Look at the screenshot and the console text in the evidence. If drivers are missing, inoculate and try again: `muster retry RUN --from inoculate --set inoculate=true --reason …`.',
    skippable: true,
    provides: ['heartbeatTimeoutMs'],
  },
  {
    ...defaults,
    id: 'resume-replication',
    title: 'Resume replication, or commit',
    why: 'With backup-and-recover the replica goes on taking points; with copy-and-recover it never stopped since the copies were whole. A destructive recovery waits here for commit (final: overlay merged, session removed) or roll-back (everything as before). It cannot be skipped: the replica would be held by a run that is over.',
    remedy:
      'The recovered machine runs; only the marker beside the manifests, or the merge, is missing. See that the replica folder can be written, then retry.',
  },
] as const satisfies readonly StepDeclaration[];

export type PushButtonStep = (typeof steps)[number]['id'];

export const pushButtonDeclaration: ProcedureDeclaration = {
  name: 'push-button-recovery',
  title: 'Push-button recovery',
  summary: 'Brings one server back from its replica on other hardware, and proves that it works.',
  steps,
};

/** Between the proof and the end, for servers that are recovered as part of a plan. */
const awaitPlan: StepDeclaration = {
  ...defaults,
  id: 'await-plan',
  title: 'Wait for the plan',
  why: 'This server is proven. The plan that it belongs to commits all of its servers together, or takes them all back.',
  remedy: 'Decide at the plan (`muster show PLAN`). If the plan was ended, decide here.',
};

/** What a run of this order declares. */
export function declarationOf(order: RecoveryOrder): ProcedureDeclaration {
  if (order.procedure === 'rehearsal-clean-up') return cleanUpDeclaration;
  if (isRehearsal(order)) return rehearsalFor(pushButtonDeclaration, awaitPlan, order);
  if (order.partOf === undefined) return pushButtonDeclaration;
  const { steps: all } = pushButtonDeclaration;
  const declared = order.option === 'destructive' ? [...all.slice(0, -1), awaitPlan, all.at(-1)!] : [...all, awaitPlan];
  return { ...pushButtonDeclaration, steps: declared };
}

/** A rehearsal with everything that one may have, for the docs. */
export const rehearsalDeclaration: ProcedureDeclaration = rehearsalOf(pushButtonDeclaration, awaitPlan, {
  networks: true,
  tryOut: { title: '', question: '' },
  partOf: { runId: '', workflowId: '' },
});

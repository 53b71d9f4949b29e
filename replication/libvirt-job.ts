/**
 * The backup job of a machine: libvirt has at most one, and knows of it more than of what QEMU does. Ended while a copy began, libvirt
 * keeps the job's name and nothing else (libvirt 9.0: qemuProcessRecoverJob takes the name from its status file, and
 * qemuBackupGetJobInfoStats finds no backup); it ends such a job by no command, and begins no other.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isMusterError, OperatorError, TransientError } from '../model/errors';
import { formatDuration } from '../model/durations';
import type { CallOptions } from '../platforms/contract';
import { bytesDone } from './progress';
import type { Virsh } from './virsh';

/** What the work on a machine's job needs of its host. */
export interface JobHost {
  readonly virsh: Virsh;
  /** Milliseconds for durations. */
  readonly elapsed: () => number;
}

const pollMs = 40;
/** A copy that has told nothing new for so long goes on no more: libvirt may have missed its end. */
const longestSilenceMs = 300_000;

/** Ends the copy of an attempt that was cut short. @throws OperatorError when libvirt has lost it */
export async function endLeftoverJob({ virsh }: JobHost, machine: string, signal?: AbortSignal): Promise<void> {
  const job = await virsh(['domjobinfo', machine], { signal }).catch((error: unknown) => {
    throw isMusterError(error) && /backup job data missing/.test(error.facts.found ?? '') ? lostJob(machine) : error;
  });
  if (/^Operation:\s+Backup/m.test(job)) await virsh(['domjobabort', machine], { signal });
}

function lostJob(machine: string): OperatorError {
  return new OperatorError({
    what: `libvirt can copy nothing of ${machine}`,
    found: 'a backup job that it has lost (backup job data missing): it was ended while a copy began',
    needed: 'no job',
    remedy:
      `Shut ${machine} down, restart libvirtd, and start ${machine}; before the restart libvirt starts it no more. Where it has ` +
      `to run on: stop libvirtd, take async='backup' out of /run/libvirt/qemu/${machine}.xml, and start libvirtd. ` +
      'Replication then goes on by itself.',
  });
}

/** Waits until the copy has ended, and tells how far it is. @throws TransientError when it ended badly, or says nothing any more */
export async function waitForBackup(host: JobHost, machine: string, options: CallOptions): Promise<void> {
  const { virsh } = host;
  try {
    await followBackup(host, machine, options);
  } catch (error) {
    if (options.signal?.aborted === true) await virsh(['domjobabort', machine]).catch(() => undefined);
    throw error;
  }
  const outcome = await virsh(['domjobinfo', machine, '--completed', '--keep-completed']);
  if (/^Job type:\s+Completed/m.test(outcome)) return;
  throw new TransientError({
    what: `the copy of ${machine} did not come to its end`,
    found: /^Job type:.*|^Error message:.*/m.exec(outcome)?.[0] ?? 'no outcome',
    needed: 'a completed backup job',
    remedy: 'The next cycle repeats it; look at space on the recovery site and at the source machine.',
  });
}

async function followBackup({ virsh, elapsed }: JobHost, machine: string, options: CallOptions): Promise<void> {
  let heard = { job: '', at: elapsed() };
  for (;;) {
    options.signal?.throwIfAborted();
    const job = await virsh(['domjobinfo', machine, '--rawstats'], { signal: options.signal }).catch(() =>
      virsh(['domjobinfo', machine], { signal: options.signal }),
    );
    if (!/Operation:\s+Backup/m.test(job) && !/^operation:\s*\d+/m.test(job)) return;
    options.onProgress?.(bytesDone('copying', statistic(job, 'disk_temp_used') ?? 0, null));
    const words = job.replaceAll(/^time[ _]elapsed.*$/gim, '');
    if (words !== heard.job) heard = { job: words, at: elapsed() };
    if (elapsed() - heard.at > longestSilenceMs) return endSilent(virsh, machine);
    await sleep(pollMs);
  }
}

async function endSilent(virsh: Virsh, machine: string): Promise<never> {
  await virsh(['domjobabort', machine]);
  throw new TransientError({
    what: `the copy of ${machine} did not come to its end`,
    found: `a backup job that said nothing new for ${formatDuration(longestSilenceMs)}; it was ended`,
    needed: 'a completed backup job',
    remedy: 'The next cycle repeats it; look at libvirtd and at the disks of the source machine.',
  });
}

function statistic(job: string, name: string): number | undefined {
  const found = new RegExp(`^${name}:?\\s*(\\d+)`, 'm').exec(job)?.[1];
  return found === undefined ? undefined : Number(found);
}

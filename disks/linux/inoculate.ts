/**
 * Inoculation of a Linux guest with initramfs-tools or dracut, in one appliance:
 *
 *   look (mounted for reading) ── nothing lacks ──> report
 *     └─ something lacks ──> write (files, second archives, regeneration) ──> look again: nothing may lack ──> report
 *
 * Looking is the verification: what is written is read back from the disk by the same code that would find it lacking.
 * What was prepared ahead goes a shorter way (use-prepared.ts) when it still fits.
 */
import type { HardwareProfile } from '../../model/server';
import type { InoculateOptions, InoculationReport } from '../contract';
import { guestFiles, type GuestFiles } from '../guest-files';
import type { Guestfish } from '../guestfish';
import { appendToGuest, buildAddition, verifyAppended, type Addition } from './append';
import { resolverFor } from './device-names';
import { findLinux, type LabelledVolume, type LinuxSystem } from './find-system';
import { compare, isFit, mountAll, refuseLacking, refuseUnfit, type Findings } from './findings';
import type { KernelPlan } from './kernels';
import { readdress } from './addresses/readdress';
import { regenerate } from './regenerate';
import { report } from './report';
import { copyInGuest, verifyCopies } from './uefi';
import { usePrepared } from './use-prepared';

export interface InoculationRequest {
  /** Started, with the server's disks added in order. */
  readonly guest: Guestfish;
  readonly diskCount: number;
  readonly volumes: readonly LabelledVolume[];
  readonly hardware: HardwareProfile;
  /** An empty folder. */
  readonly scratch: string;
  /** `done` is a percentage of what is expected in all. */
  readonly stage: (label: string, done: number) => void;
  readonly options: Pick<InoculateOptions, 'nics' | 'signal' | 'prepared' | 'unlockKeys' | 'addresses'>;
}

/**
 * Gives the Linux system on these disks what `hardware` needs.
 *
 * @throws OperatorError when there is no such system or a person has to choose; PermanentError when what was written does
 * not read back; TransientError when the appliance fails. The disks may be given again after any of them.
 */
export async function inoculateLinux(request: InoculationRequest): Promise<InoculationReport> {
  const { guest, volumes, stage, options } = request;
  const files = guestFiles(guest, request.scratch);
  const report = await inoculateFor(request, files);
  const { addresses = [], nics = [] } = options;
  if (addresses.length === 0) return report;
  stage('giving the cards their addresses', 94);
  await guest.ask('umount-all');
  const done = await readdress(guest, files, await findLinux(guest, files, volumes), addresses, nics);
  return {
    ...report,
    changes: [...report.changes, ...done.changes],
    verified: [...report.verified, ...done.verified],
    warnings: [...(report.warnings ?? []), ...done.warnings],
  };
}

async function inoculateFor(request: InoculationRequest, files: GuestFiles): Promise<InoculationReport> {
  const { options } = request;
  const prepared = options.prepared ?? { because: 'nothing was prepared' };
  const preparedAt = 'because' in prepared ? null : prepared.preparedAt;
  const use = 'because' in prepared ? prepared : await usePrepared(request, files, prepared);
  if ('report' in use) {
    return { ...use.report, prepared: { used: true, because: 'the disks hold what it was made from', preparedAt } };
  }
  const done = await ordinaryWay(request, files);
  return { ...done, prepared: { used: false, because: use.because, preparedAt } };
}

async function ordinaryWay(request: InoculationRequest, files: GuestFiles): Promise<InoculationReport> {
  const { guest, volumes, stage } = request;
  const system = await findLinux(guest, files, volumes);
  const resolve = resolverFor(volumes, request.diskCount);
  const look = async (): Promise<Findings> => {
    await mountAll(guest, system, 'mount-ro');
    return compare(files, system, resolve, request.hardware, request.options);
  };
  stage('comparing drivers and settings with the hardware', 60);
  const before = await look();
  refuseUnfit(before.kernels);
  if (isFit(before)) return report(system, before, before, new Map());

  stage('writing drivers and settings', 75);
  const additions = await buildAdditions(files, before.kernels, request.options.signal);
  await write(guest, files, system, before, additions, request);

  stage('reading back what was written', 92);
  await guest.ask('umount-all');
  await guest.ask('drop-caches', ['3']);
  const after = await look();
  for (const addition of additions.values()) await verifyAppended(guest, addition);
  await verifyCopies(guest, before.config.copies);
  refuseLacking(after);
  return report(system, before, after, additions);
}

/** The second archive of every kernel that takes one, by release. Writes nothing to the guest. */
export async function buildAdditions(
  files: GuestFiles,
  kernels: readonly KernelPlan[],
  signal?: AbortSignal,
): Promise<Map<string, Addition>> {
  const additions = new Map<string, Addition>();
  for (const plan of kernels.filter(({ action }) => action === 'append')) {
    additions.set(plan.release, await buildAddition(files, plan, signal));
  }
  return additions;
}

async function write(
  guest: Guestfish,
  files: GuestFiles,
  system: LinuxSystem,
  findings: Findings,
  additions: ReadonlyMap<string, Addition>,
  request: InoculationRequest,
): Promise<void> {
  await guest.ask('umount-all');
  await mountAll(guest, system, 'mount');
  for (const [path, text] of findings.config.files) await files.write(path, text);
  if (findings.modules.text !== null) await files.write(findings.modules.path, findings.modules.text);
  await copyInGuest(guest, findings.config.copies);
  for (const plan of findings.kernels) {
    const addition = additions.get(plan.release);
    if (addition !== undefined) await appendToGuest(guest, addition);
    else if (plan.action === 'append' || plan.action === 'regenerate') {
      request.stage(`regenerating the initramfs of kernel ${plan.release}`, 80);
      await regenerate(guest, files, plan);
    }
  }
}

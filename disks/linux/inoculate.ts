/**
 * Inoculation of a Linux guest with initramfs-tools, in one appliance:
 *
 *   look (mounted for reading) ── nothing lacks ──> report
 *     └─ something lacks ──> write (files, second archives, regeneration) ──> look again: nothing may lack ──> report
 *
 * Looking is the verification: what is written is read back from the disk by the same code that would find it lacking.
 */
import { OperatorError, PermanentError } from '../../model/errors';
import type { HardwareProfile } from '../../model/server';
import type { InoculateOptions, InoculationReport } from '../contract';
import { guestFiles, type GuestFiles } from '../guest-files';
import type { Guestfish } from '../guestfish';
import { appendToGuest, buildAddition, verifyAppended, type Addition } from './append';
import { planConfig, type ConfigPlan } from './config-files';
import { resolverFor } from './device-names';
import { findLinux, listVolumes, type LinuxSystem } from './find-system';
import { planModulesFile, type ModulesFilePlan } from './initramfs-config';
import { kernelReleases, planKernel, type KernelPlan } from './kernels';
import { regenerate } from './regenerate';

export interface InoculationRequest {
  /** Started, with the server's disks added in order. */
  readonly guest: Guestfish;
  readonly diskCount: number;
  readonly hardware: HardwareProfile;
  /** An empty folder. */
  readonly scratch: string;
  /** `done` is a percentage of what is expected in all. */
  readonly stage: (label: string, done: number) => void;
  readonly options: Pick<InoculateOptions, 'nics' | 'signal'>;
}

interface Findings {
  readonly config: ConfigPlan;
  readonly kernels: readonly KernelPlan[];
  readonly modules: ModulesFilePlan;
}

/**
 * Gives the Linux system on these disks what `hardware` needs.
 *
 * @throws OperatorError when there is no such system or a person has to choose; PermanentError when what was written does
 * not read back; TransientError when the appliance fails. The disks may be given again after any of them.
 */
export async function inoculateLinux(request: InoculationRequest): Promise<InoculationReport> {
  const { guest, stage } = request;
  const files = guestFiles(guest, request.scratch);
  stage('looking for the operating system', 50);
  const volumes = await listVolumes(guest);
  const system = await findLinux(guest, files, volumes);
  const resolve = resolverFor(volumes, request.diskCount);
  const look = async (): Promise<Findings> => {
    await mountAll(guest, system, 'mount-ro');
    await refuseOtherTools(files, system);
    const config = await planConfig(files, resolve, request.hardware, request.options.nics);
    const kernels: KernelPlan[] = [];
    for (const release of await kernelReleases(files)) {
      kernels.push(await planKernel(files, release, request.hardware, resolve, request.options.signal));
    }
    const modules = await planModulesFile(files, kernels);
    return { config, kernels, modules };
  };
  stage('comparing drivers and settings with the hardware', 60);
  const before = await look();
  refuseUnfit(before.kernels);
  if (isFit(before)) return report(system, before, before, new Map());

  stage('writing drivers and settings', 75);
  const additions = await prepare(files, before.kernels, request);
  await write(guest, files, system, before, additions, request);

  stage('reading back what was written', 92);
  await guest.ask('umount-all');
  await guest.ask('drop-caches', ['3']);
  const after = await look();
  for (const addition of additions.values()) await verifyAppended(guest, addition);
  refuseLacking(after);
  return report(system, before, after, additions);
}

async function mountAll(guest: Guestfish, system: LinuxSystem, command: 'mount' | 'mount-ro'): Promise<void> {
  for (const [point, device] of system.mounts) await guest.ask(command, [device, point]);
}

async function refuseOtherTools(files: GuestFiles, system: LinuxSystem): Promise<void> {
  if (await files.isFile('/usr/sbin/update-initramfs')) return;
  throw new OperatorError({
    what: `${system.prettyName} does not use initramfs-tools`,
    found: (await files.isFile('/usr/bin/dracut')) ? 'dracut' : 'no update-initramfs',
    needed: 'initramfs-tools',
    remedy:
      'This release inoculates Debian, Ubuntu and their family. Skip this step if the system boots on the hardware by itself.',
  });
}

/** The newest kernel is the one that boots; an older one without the driver is left alone and said so. */
function refuseUnfit(kernels: readonly KernelPlan[]): void {
  const newest = kernels[0];
  if (newest === undefined) {
    throw new OperatorError({
      what: 'no kernel was found in the guest',
      needed: '/boot/vmlinuz-<release>',
      remedy: 'Look whether /boot is on a disk of its own that the recovery point lacks.',
    });
  }
  if (newest.action !== 'unfit') return;
  throw new OperatorError({
    what: `kernel ${newest.release} in the guest cannot drive the hardware`,
    found: newest.because,
    needed: 'a kernel with these drivers',
    remedy:
      'Install the full kernel (linux-image-amd64 instead of a cloud kernel) at the source, or choose other hardware.',
  });
}

const isFit = (findings: Findings) =>
  findings.config.files.size === 0 &&
  findings.modules.text === null &&
  findings.kernels.every(({ action }) => action === 'none' || action === 'unfit');

async function prepare(
  files: GuestFiles,
  kernels: readonly KernelPlan[],
  request: InoculationRequest,
): Promise<Map<string, Addition>> {
  const additions = new Map<string, Addition>();
  for (const plan of kernels.filter(({ action }) => action === 'append')) {
    additions.set(plan.release, await buildAddition(files, plan, request.options.signal));
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
  for (const plan of findings.kernels) {
    const addition = additions.get(plan.release);
    if (addition !== undefined) await appendToGuest(guest, addition);
    else if (plan.action === 'append' || plan.action === 'regenerate') {
      request.stage(`regenerating the initramfs of kernel ${plan.release}`, 80);
      await regenerate(guest, files, plan);
    }
  }
}

function refuseLacking(after: Findings): void {
  if (isFit(after)) return;
  const kernels = after.kernels.filter(({ action }) => action === 'append' || action === 'regenerate');
  const lacking = [
    ...after.config.changes,
    ...after.modules.changes,
    ...kernels.map((k) => `${k.release}: ${k.because}`),
  ];
  throw new PermanentError({
    what: 'the inoculation does not read back',
    found: lacking.join('; '),
    needed: 'every driver and setting in place',
    remedy: 'Decide "retry" once; if it stays, look at the overlay with guestfish (lsinitramfs, /etc/fstab).',
  });
}

function report(
  system: LinuxSystem,
  before: Findings,
  after: Findings,
  additions: ReadonlyMap<string, Addition>,
): InoculationReport {
  const kernels = before.kernels.filter(({ action }) => action !== 'unfit');
  const unfit = before.kernels.filter(({ action }) => action === 'unfit');
  return {
    inoculator: 'initramfs-tools',
    operatingSystem: system.prettyName,
    kernels: kernels.map((plan) => ({
      release: plan.release,
      how: plan.action === 'none' ? 'already-fit' : additions.has(plan.release) ? 'archive-appended' : 'regenerated',
      modulesAdded: plan.action === 'none' ? [] : plan.missing,
    })),
    changes: [...before.config.changes, ...before.modules.changes],
    verified: [
      ...after.kernels
        .filter(({ action }) => action === 'none')
        .map((plan) => `kernel ${plan.release}: ${plan.because}`),
      ...[...additions.values()].map(
        (addition) => `${addition.plan.initramfsPath} reads back with sha256 ${addition.sha256}`,
      ),
      ...after.config.sound,
      ...after.modules.sound,
    ],
    warnings: [
      ...after.config.warnings,
      ...unfit.map((plan) => `kernel ${plan.release} left as it is: ${plan.because}`),
    ],
  };
}

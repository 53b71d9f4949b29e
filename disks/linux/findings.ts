/** What a mounted Linux system lacks for the hardware: configuration, kernels, what initramfs-tools is told. */
import { OperatorError, PermanentError } from '../../model/errors';
import type { HardwareProfile } from '../../model/server';
import type { InoculateOptions } from '../contract';
import type { GuestFiles } from '../guest-files';
import type { Guestfish } from '../guestfish';
import { planConfig, type ConfigPlan } from './config-files';
import type { Resolve } from './device-names';
import type { LinuxSystem } from './find-system';
import { planModulesFile, type ModulesFilePlan } from './initramfs-config';
import { kernelReleases, planKernel, type KernelPlan } from './kernels';

export interface Findings {
  readonly config: ConfigPlan;
  readonly kernels: readonly KernelPlan[];
  readonly modules: ModulesFilePlan;
}

/**
 * Compares the mounted system with the hardware. Changes nothing.
 *
 * @throws OperatorError when it is no system that is inoculated here, or when a person has to choose.
 */
export async function compare(
  files: GuestFiles,
  system: LinuxSystem,
  resolve: Resolve,
  hardware: HardwareProfile,
  options: Pick<InoculateOptions, 'nics' | 'signal'>,
): Promise<Findings> {
  await refuseOtherTools(files, system);
  const config = await planConfig(files, resolve, hardware, options.nics);
  const kernels: KernelPlan[] = [];
  for (const release of await kernelReleases(files)) {
    kernels.push(await planKernel(files, release, hardware, resolve, options.signal));
  }
  const modules = await planModulesFile(files, kernels);
  return { config, kernels, modules };
}

/** Mounts the parts of the system, shortest mount point first. */
export async function mountAll(guest: Guestfish, system: LinuxSystem, command: 'mount' | 'mount-ro'): Promise<void> {
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
export function refuseUnfit(kernels: readonly KernelPlan[]): void {
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

/** Nothing has to be written. */
export const isFit = (findings: Findings) =>
  findings.config.files.size === 0 &&
  findings.modules.text === null &&
  findings.kernels.every(({ action }) => action === 'none' || action === 'unfit');

/** @throws PermanentError when something still lacks after it was written. */
export function refuseLacking(after: Findings): void {
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

/** What a mounted Linux system lacks for the hardware: configuration, kernels, what builds its next initramfs. */
import { OperatorError, PermanentError } from '../../model/errors';
import type { HardwareProfile } from '../../model/server';
import type { InoculateOptions } from '../contract';
import type { GuestFiles } from '../guest-files';
import type { Guestfish } from '../guestfish';
import { planConfig, type ConfigPlan } from './config-files';
import type { Resolve } from './device-names';
import type { LinuxSystem } from './find-system';
import { planModulesFile, type ModulesFilePlan } from './initramfs-config';
import { defaultRelease } from './grub-menu';
import { kernelReleases, planKernel, type InitramfsTool, type KernelPlan } from './kernels';

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
  const tool = await toolOf(files, system);
  const config = await planConfig(files, system, resolve, hardware, options.nics);
  const starts = await startsByDefault(files);
  const kernels: KernelPlan[] = [];
  for (const release of await kernelReleases(files)) {
    const plan = await planKernel(files, release, tool, hardware, resolve, options.signal);
    kernels.push(starts === null ? plan : { ...plan, startsByDefault: release === starts });
  }
  const modules = await planModulesFile(files, tool, kernels);
  return { config, kernels, modules };
}

/** Mounts the parts of the system, shortest mount point first. */
export async function mountAll(guest: Guestfish, system: LinuxSystem, command: 'mount' | 'mount-ro'): Promise<void> {
  for (const [point, device] of system.mounts) await guest.ask(command, [device, point]);
}

/**
 * What the next kernel update calls. dracut leaves mkinitramfs behind when it replaces initramfs-tools (Debian 12), and
 * has an update-initramfs of its own (Debian 13). @throws OperatorError where it is neither.
 */
async function toolOf(files: GuestFiles, system: LinuxSystem): Promise<InitramfsTool> {
  const script = await files.text('/usr/sbin/update-initramfs');
  if (script?.includes('mkinitramfs') === true) return 'initramfs-tools';
  if (await files.isFile('/usr/bin/dracut')) return 'dracut';
  throw new OperatorError({
    what: `${system.prettyName} builds its initramfs with a tool that is not known here`,
    found: 'neither update-initramfs nor dracut',
    needed: 'initramfs-tools or dracut',
    remedy:
      'The built-in inoculator works on Debian, Ubuntu and their family. Skip this step if the system boots on the hardware by itself.',
  });
}

async function startsByDefault(files: GuestFiles): Promise<string | null> {
  const menu = await files.text('/boot/grub/grub.cfg');
  return menu === null ? null : defaultRelease(menu, (await files.text('/boot/grub/grubenv')) ?? '');
}

/**
 * The kernel that GRUB starts has to drive the hardware; where its menu was not understood, the newest is taken for it.
 * Another one without the driver is left alone and said so.
 */
export function refuseUnfit(kernels: readonly KernelPlan[]): void {
  const starting = kernels.find((kernel) => kernel.startsByDefault === true) ?? kernels[0];
  if (starting === undefined) {
    throw new OperatorError({
      what: 'no kernel was found in the guest',
      needed: '/boot/vmlinuz-<release>',
      remedy: 'Look whether /boot is on a disk of its own that the recovery point lacks.',
    });
  }
  if (starting.action !== 'unfit') return;
  const fit = kernels.find(({ action }) => action !== 'unfit');
  throw new OperatorError({
    what: `kernel ${starting.release}, which the guest starts by default, cannot drive the hardware`,
    found: starting.because,
    needed: 'a kernel with these drivers',
    remedy:
      fit === undefined
        ? 'Install the full kernel (linux-image-amd64 instead of a cloud kernel) at the source, or choose other hardware.'
        : `Let GRUB start kernel ${fit.release}, which can be given them: set GRUB_DEFAULT at the source, or \`set default\` in /boot/grub/grub.cfg of the overlay with guestfish, then decide "retry".`,
  });
}

/** Nothing has to be written. */
export const isFit = (findings: Findings) =>
  findings.config.files.size === 0 &&
  findings.config.copies.length === 0 &&
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

/** update-initramfs inside the appliance: slow (85 s without KVM), for what cannot be appended to. */
import { PermanentError, isMusterError } from '../../model/errors';
import type { GuestFiles } from '../guest-files';
import type { Guestfish } from '../guestfish';
import { printable } from '../guestfish-words';
import type { KernelPlan } from './kernels';

const timeoutMs = 15 * 60_000;
/** MODULES=dep would look at the appliance's own hardware and take its drivers. */
const override = '/etc/initramfs-tools/conf.d/zz-muster';

/**
 * Builds the kernel's initramfs anew with all drivers; needs /etc/initramfs-tools/modules to be extended already.
 *
 * @throws PermanentError with the tool's last words when it fails.
 */
export async function regenerate(guest: Guestfish, files: GuestFiles, plan: KernelPlan): Promise<void> {
  const flag = (await files.isFile(plan.initramfsPath)) ? '-u' : '-c';
  await files.write(override, 'MODULES=most\n');
  try {
    await guest.ask('command', [`/usr/sbin/update-initramfs ${flag} -k ${plan.release}`], timeoutMs);
  } catch (error) {
    if (!isMusterError(error) || error.facts.what !== 'guestfish failed at command') throw error;
    throw new PermanentError(
      {
        what: `update-initramfs failed for kernel ${plan.release} (regenerated because ${plan.because})`,
        found: printable(error.facts.found ?? ''),
        needed: 'an initramfs with the drivers of the hardware',
        remedy: 'Choose an earlier recovery point, or repair initramfs-tools in the overlay with guestfish.',
        ...(error.facts.detail === undefined ? {} : { detail: error.facts.detail }),
      },
      { cause: error },
    );
  }
  await guest.ask('rm-f', [override]);
}

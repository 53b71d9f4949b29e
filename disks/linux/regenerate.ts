/** update-initramfs or dracut inside the appliance: slow (85 s without KVM), for what cannot be appended to. */
import { assertNever, PermanentError, isMusterError } from '../../model/errors';
import type { GuestFiles } from '../guest-files';
import type { Guestfish } from '../guestfish';
import { printable } from '../guestfish-words';
import type { KernelPlan } from './kernels';

const timeoutMs = 15 * 60_000;
/** MODULES=dep would look at the appliance's own hardware and take its drivers. */
const override = '/etc/initramfs-tools/conf.d/zz-muster';

/**
 * Builds the kernel's initramfs anew with all drivers; needs what planModulesFile wants to be written already.
 *
 * @throws PermanentError with the tool's last words when it fails.
 */
export async function regenerate(guest: Guestfish, files: GuestFiles, plan: KernelPlan): Promise<void> {
  const [tool, command] = await commandFor(files, plan);
  if (plan.tool === 'initramfs-tools') await files.write(override, 'MODULES=most\n');
  try {
    await guest.ask('command', [command], timeoutMs);
  } catch (error) {
    if (!isMusterError(error) || error.facts.what !== 'guestfish failed at command') throw error;
    throw new PermanentError(
      {
        what: `${tool} failed for kernel ${plan.release} (regenerated because ${plan.because})`,
        found: printable(error.facts.found ?? ''),
        needed: 'an initramfs with the drivers of the hardware',
        remedy: `Choose an earlier recovery point, or repair ${tool} in the overlay with guestfish.`,
        ...(error.facts.detail === undefined ? {} : { detail: error.facts.detail }),
      },
      { cause: error },
    );
  }
  if (plan.tool === 'initramfs-tools') await guest.ask('rm-f', [override]);
}

/** libguestfs splits the command at spaces; releases have none. */
async function commandFor(files: GuestFiles, { tool, release, initramfsPath }: KernelPlan): Promise<[string, string]> {
  switch (tool) {
    case 'initramfs-tools': {
      const flag = (await files.isFile(initramfsPath)) ? '-u' : '-c';
      return ['update-initramfs', `/usr/sbin/update-initramfs ${flag} -k ${release}`];
    }
    case 'dracut': {
      // hostonly would look at the appliance's own hardware and take its drivers.
      const all = '--no-hostonly --no-hostonly-cmdline';
      return ['dracut', `/usr/bin/dracut --quiet --force ${all} ${initramfsPath} ${release}`];
    }
    default:
      return assertNever(tool);
  }
}

/**
 * update-initramfs or dracut inside the appliance: slow (85 s without KVM), for what cannot be appended to. What they build
 * has to be read afterwards, so a compression that is not read here is replaced by gzip, which every kernel knows; the
 * guest's own setting stays, and its next kernel update follows it.
 */
import { assertNever, PermanentError } from '../../model/errors';
import type { GuestFiles } from '../guest-files';
import type { Guestfish } from '../guestfish';
import { printable } from '../guestfish-words';
import { readableCompressions } from './initramfs';
import { initramfsToolsSetting } from './initramfs-config';
import type { KernelPlan } from './kernels';

const timeoutMs = 15 * 60_000;
/** Read by mkinitramfs behind all the others; there only while it runs. */
const override = '/etc/initramfs-tools/conf.d/zz-muster';
/** With which update-initramfs ends as if it had done its work. */
const notDone = /^.*\b(Not updating|Cannot update)\b.*$/m;

/**
 * Builds the kernel's initramfs anew with all drivers; needs what planModulesFile wants to be written already.
 *
 * @throws PermanentError with the tool's last words when it fails.
 */
export async function regenerate(guest: Guestfish, files: GuestFiles, plan: KernelPlan): Promise<void> {
  const [tool, command] = await commandFor(files, plan);
  if (plan.tool === 'initramfs-tools') await files.write(override, await overrideFor(files));
  const { output, error, detail } = await guest.attempt('command', [command], timeoutMs);
  if (plan.tool === 'initramfs-tools') await guest.ask('rm-f', [override]);
  const found = error ?? notDone.exec(output)?.[0];
  if (found === undefined) return;
  throw new PermanentError({
    what: `${tool} failed for kernel ${plan.release} (regenerated because ${plan.because})`,
    found: printable(found),
    needed: 'an initramfs with the drivers of the hardware',
    remedy: `Choose an earlier recovery point, or repair ${tool} in the overlay with guestfish.`,
    ...(detail === '' ? {} : { detail }),
  });
}

/** MODULES=dep would look at the appliance's own hardware and take its drivers. */
async function overrideFor(files: GuestFiles): Promise<string> {
  const compression = await initramfsToolsSetting(files, 'COMPRESS');
  const readable = compression === null || readableCompressions.some((one) => one === compression);
  // A level that was meant for another program may be none of gzip's.
  return readable ? 'MODULES=most\n' : 'MODULES=most\nCOMPRESS=gzip\nCOMPRESSLEVEL=\n';
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
      return ['dracut', `/usr/bin/dracut --quiet --force --gzip ${all} ${initramfsPath} ${release}`];
    }
    default:
      return assertNever(tool);
  }
}

/**
 * New addresses for the cards of a recovered Linux system, beside its inoculation and never part of what is prepared ahead:
 *
 *   look (mounted for reading) ── everything as wanted ──> nothing is written
 *     └─ something differs ──> a copy of each file beside it, the files ──> look again: nothing may differ
 *
 * Nothing undoes it: the disks are the run's own.
 */
import { PermanentError } from '../../../model/errors';
import type { NicSpec } from '../../../model/server';
import type { CardAddress, InoculationReport } from '../../contract';
import type { GuestFiles } from '../../guest-files';
import type { Guestfish } from '../../guestfish';
import type { LinuxSystem } from '../find-system';
import { mountAll } from '../findings';
import { planAddresses, type AddressPlan } from './plan';

type Done = Pick<InoculationReport, 'changes' | 'verified'> & { readonly warnings: readonly string[] };

/**
 * Nothing may be mounted; nothing is, afterwards.
 *
 * @throws PermanentError when a file is not understood (nothing was written), or does not read back.
 */
export async function readdress(
  guest: Guestfish,
  files: GuestFiles,
  system: LinuxSystem,
  addresses: readonly CardAddress[],
  nics: readonly NicSpec[],
): Promise<Done> {
  const look = async (): Promise<AddressPlan> => {
    await mountAll(guest, system, 'mount-ro');
    try {
      return await planAddresses(files, addresses, nics);
    } finally {
      await guest.ask('umount-all');
    }
  };
  const before = await look();
  if (before.files.size > 0) await write(guest, files, system, before);
  const after = before.files.size === 0 ? before : await look();
  if (after.files.size > 0) throw unread([...after.files.keys()]);
  const words = addresses.map(({ macAddress, ip }) => `${macAddress} has ${ip}`).join(', ');
  return {
    changes: [...before.files.keys()].map((path) => `${path}: addresses at the recovery site`),
    verified: [`${after.way}: ${words}`],
    warnings: after.warnings,
  };
}

async function write(guest: Guestfish, files: GuestFiles, system: LinuxSystem, plan: AddressPlan): Promise<void> {
  await mountAll(guest, system, 'mount');
  for (const [path, text] of plan.files) {
    const copy = copyOf(path);
    if ((await files.isFile(path)) && !(await files.isFile(copy))) await guest.ask('cp-a', [path, copy]);
    await guest.ask('mkdir-p', [path.slice(0, path.lastIndexOf('/'))]);
    await files.write(path, text);
    // NetworkManager does not read profiles that others could.
    if (path.startsWith('/etc/NetworkManager/')) await guest.ask('chmod', ['0600', path]);
  }
  await guest.ask('umount-all');
  await guest.ask('drop-caches', ['3']);
}

/** Hidden, because some folders' files are read whatever their names end with. */
export function copyOf(path: string): string {
  const at = path.lastIndexOf('/') + 1;
  return `${path.slice(0, at)}.${path.slice(at)}.before-muster`;
}

const unread = (paths: readonly string[]) =>
  new PermanentError({
    what: 'the new addresses do not read back',
    found: `other content in ${paths.join(', ')}`,
    needed: 'every file as it was written',
    remedy: 'Decide "retry" once; if it stays, look at the overlay with guestfish.',
  });

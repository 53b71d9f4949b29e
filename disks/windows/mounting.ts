/** Mounting a Windows volume for writing. */
import { OperatorError } from '../../model/errors';
import type { Guestfish } from '../guestfish';
import { placeOf, type WindowsSystem } from './find-windows';

/**
 * New files get the rights that their folder passes on, as Windows itself would do it: without `inherit` ntfs-3g lets
 * everybody change them, and a driver that everybody can change is a way to take the system over.
 *
 * @throws OperatorError when NTFS cannot be mounted for writing.
 */
export async function mountForWriting(guest: Guestfish, system: WindowsSystem): Promise<void> {
  const { error } = await guest.attempt('mount-options', ['permissions,inherit', system.volume.device, '/']);
  if (error === null) return;
  throw new OperatorError({
    what: `the Windows volume on ${placeOf(system.volume)} cannot be mounted for writing`,
    found: error,
    needed: 'a volume that Windows has closed and that is not full',
    remedy: 'Choose another recovery point, or repair the volume in the overlay (ntfsfix), then retry.',
  });
}

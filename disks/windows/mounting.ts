/** A Windows volume mounted in the appliance, for as long as something needs it. */
import { OperatorError } from '../../model/errors';
import type { Guestfish } from '../guestfish';
import { placeOf, type WindowsSystem } from './find-windows';

/** Mounts the volume for reading, works, unmounts. */
export function whileReading<T>(guest: Guestfish, { volume }: WindowsSystem, work: () => Promise<T>): Promise<T> {
  return whileMounted(guest, () => guest.ask('mount-ro', [volume.device, '/']), work);
}

/** The same for writing. @throws OperatorError when NTFS cannot be mounted for writing. */
export function whileWriting<T>(guest: Guestfish, system: WindowsSystem, work: () => Promise<T>): Promise<T> {
  return whileMounted(guest, () => mountForWriting(guest, system), work);
}

async function whileMounted<T>(guest: Guestfish, mount: () => Promise<unknown>, work: () => Promise<T>): Promise<T> {
  await mount();
  let result: T;
  try {
    result = await work();
  } catch (error) {
    // The session may be over; what went wrong is the first error.
    await guest.attempt('umount-all').catch(() => undefined);
    throw error;
  }
  await guest.ask('umount-all');
  return result;
}

async function mountForWriting(guest: Guestfish, system: WindowsSystem): Promise<void> {
  const { error } = await guest.attempt('mount', [system.volume.device, '/']);
  if (error === null) return;
  throw new OperatorError({
    what: `the Windows volume on ${placeOf(system.volume)} cannot be mounted for writing`,
    found: error,
    needed: 'a volume that Windows has closed and that is not full',
    remedy: 'Choose another recovery point, or repair the volume in the overlay (ntfsfix), then retry.',
  });
}

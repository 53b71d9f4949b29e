/** Finds the Windows system on a server's disks: an NTFS volume with the hives of one. Mounted for reading only. */
import { OperatorError } from '../../model/errors';
import type { Guestfish } from '../guestfish';
import { printable } from '../guestfish-words';
import type { GuestVolume } from '../linux/device-names';

export interface WindowsSystem {
  readonly volume: GuestVolume;
  /** As the folders are really written: `/Windows`. */
  readonly folder: string;
  /** `/Windows/System32/config/SYSTEM`. */
  readonly systemHive: string;
  readonly softwareHive: string;
  /** `/Windows/System32/drivers`. */
  readonly drivers: string;
}

/** `disk0, partition 2`, as errors name a volume. */
export const placeOf = ({ disk, partition, device }: GuestVolume): string =>
  disk < 0 ? printable(device) : `disk${disk}${partition === null ? '' : `, partition ${partition}`}`;

/** `obstacle`: why there may be one that was not found: an encrypted volume, one that cannot be read. */
export interface FoundWindows {
  readonly system: WindowsSystem | null;
  readonly obstacle: OperatorError | null;
}

/** Mounts each NTFS volume for reading and looks for Windows. Nothing is mounted afterwards. @throws OperatorError when there is more than one. */
export async function findWindows(guest: Guestfish, volumes: readonly GuestVolume[]): Promise<FoundWindows> {
  const found: WindowsSystem[] = [];
  const encrypted = volumes.find(({ type }) => type === 'BitLocker');
  let obstacle = encrypted === undefined ? null : locked(encrypted);
  for (const volume of volumes.filter(({ type }) => type === 'ntfs')) {
    const { error } = await guest.attempt('mount-ro', [volume.device, '/']);
    if (error !== null) {
      obstacle ??= damaged(volume, error);
      continue;
    }
    const system = await readSystem(guest, volume);
    if (system !== null) found.push(system);
    await guest.ask('umount-all');
  }
  if (found.length > 1) throw severalSystems(found);
  return { system: found[0] ?? null, obstacle };
}

async function readSystem(guest: Guestfish, volume: GuestVolume): Promise<WindowsSystem | null> {
  const systemHive = await realFile(guest, '/Windows/System32/config/SYSTEM');
  const softwareHive = await realFile(guest, '/Windows/System32/config/SOFTWARE');
  const drivers = await realPath(guest, '/Windows/System32/drivers');
  if (systemHive === null || softwareHive === null || drivers === null) return null;
  return { volume, folder: `/${systemHive.split('/')[1]!}`, systemHive, softwareHive, drivers };
}

async function realFile(guest: Guestfish, path: string): Promise<string | null> {
  const real = await realPath(guest, path);
  return real !== null && (await guest.ask('is-file', [real])).trim() === 'true' ? real : null;
}

/** The path in the case in which it is written on the disk; null where it does not exist or a link is on the way. */
export async function realPath(guest: Guestfish, path: string): Promise<string | null> {
  const written = await guest.attempt('case-sensitive-path', [path]);
  if (written.error !== null) return null;
  const name = written.output.replace(/\n$/, '');
  const real = await guest.attempt('realpath', [name]);
  return real.error === null && real.output.replace(/\n$/, '') === name ? name : null;
}

const severalSystems = (found: readonly WindowsSystem[]) =>
  new OperatorError({
    what: 'more than one Windows was found on the disks',
    found: found.map(({ volume }) => placeOf(volume)).join('; '),
    needed: 'exactly one',
    remedy: 'Inoculate the right one by hand (docs/windows.md), then skip this step with that reason.',
  });

const locked = (volume: GuestVolume) =>
  new OperatorError({
    what: `the Windows volume on ${placeOf(volume)} is encrypted`,
    found: 'BitLocker',
    needed: 'a volume that can be read',
    remedy:
      'Decrypt it at the source (manage-bde -off) and take a new point; or skip this step if Windows has the drivers already, and have its recovery key ready for the boot.',
  });

const damaged = (volume: GuestVolume, error: string) =>
  new OperatorError({
    what: `the NTFS volume on ${placeOf(volume)} cannot be read`,
    found: error,
    needed: 'a volume that can be mounted',
    remedy: 'Choose another recovery point, or repair the volume in the overlay (ntfsfix, or chkdsk in a Windows).',
  });

/** Where the toolkit asks whether it is Windows that lies on a server's disks, and goes on with it when it does. */
import { OperatorError } from '../../model/errors';
import type { CardAddress, InoculationReport, RegistryReport } from '../contract';
import { guestFiles } from '../guest-files';
import type { GuestVolume } from '../linux/device-names';
import { listVolumes } from '../linux/volumes';
import { noAddressesFor } from '../no-addresses';
import { findWindows, placeOf } from './find-windows';
import { inoculateWindows, type WindowsRequest } from './inoculate';
import { updateWindowsRegistry } from './update-registry';

/** A request before it is known on which volume Windows lies. */
export type UnlocatedRequest = Omit<WindowsRequest, 'system'>;

/** Types of volumes that a Linux may lie on. */
const linuxTypes = /^(ext[234]|xfs|btrfs|f2fs|jfs|LVM2_member|crypto_LUKS|linux_raid_member)$/;

/**
 * Inoculates the Windows on the disks; null where there is none, which is for the inoculation of Linux to find.
 *
 * @throws OperatorError as findWindows and inoculateWindows, and when there is a Linux beside it.
 */
export async function inoculateIfWindows(
  request: UnlocatedRequest,
  all: readonly GuestVolume[],
  addresses: readonly CardAddress[] = [],
): Promise<InoculationReport | null> {
  const { guest } = request;
  const volumes = all.filter(isReadable);
  if (!volumes.some(({ type }) => type === 'ntfs' || type === 'BitLocker')) return null;
  const { system, obstacle } = await findWindows(guest, volumes);
  const linux = volumes.filter(({ type }) => linuxTypes.test(type));
  if (system === null && obstacle !== null && linux.length === 0) throw obstacle;
  if (system === null) return null;
  for (const volume of linux) if (await holdsLinux(request, volume)) throw twoSystems(system.volume, volume);
  if (addresses.length > 0) throw noAddressesFor('a Windows');
  return inoculateWindows({ ...request, system });
}

/** @throws OperatorError when there is no Windows on the disks. */
export async function updateRegistryOf(request: UnlocatedRequest): Promise<RegistryReport> {
  const volumes = (await listVolumes(request.guest)).filter(isReadable);
  const { system, obstacle } = await findWindows(request.guest, volumes);
  if (system === null) throw obstacle ?? noWindows(volumes);
  return updateWindowsRegistry({ ...request, system, volumes });
}

/** Windows lies on partitions and bare disks; on nothing else that can be read here. */
const isReadable = ({ disk }: GuestVolume) => disk >= 0;

async function holdsLinux({ guest, scratch }: UnlocatedRequest, volume: GuestVolume): Promise<boolean> {
  const { error } = await guest.attempt('mount-ro', [volume.device, '/']);
  if (error !== null) return false;
  const files = guestFiles(guest, scratch);
  const found = (await files.isFolder('/etc')) && (await files.isFile('/etc/fstab'));
  await guest.ask('umount-all');
  return found;
}

const twoSystems = (windows: GuestVolume, linux: GuestVolume) =>
  new OperatorError({
    what: 'more than one operating system was found on the disks',
    found: `a Windows on ${placeOf(windows)}; a Linux on ${placeOf(linux)}`,
    needed: 'exactly one',
    remedy: 'Inoculate the one that boots by hand (docs/windows.md), then skip this step with that reason.',
  });

const noWindows = (volumes: readonly GuestVolume[]) =>
  new OperatorError({
    what: 'no Windows was found on the disks',
    found: volumes.map((volume) => `${placeOf(volume)}: ${volume.type || 'nothing known'}`).join('; ') || 'no volumes',
    needed: 'an NTFS volume with Windows/System32/config/SYSTEM',
    remedy:
      'Look whether the signatures were applied and all disks of the server are there; if the server runs no Windows, skip this step.',
  });

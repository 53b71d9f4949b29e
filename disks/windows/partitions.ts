/** The server's partitions as Windows names them in MountedDevices, out of what blkid says in the appliance. */
import type { Guestfish } from '../guestfish';
import type { GuestVolume } from '../linux/device-names';
import { placeOf } from './find-windows';
import { gptIdentity, mbrIdentity, type PartitionIdentity } from './mounted-devices';

const sectorBytes = 512;

/** All partitions, in order; the same volumes as given. */
export async function identifyPartitions(
  guest: Guestfish,
  volumes: readonly GuestVolume[],
): Promise<Map<string, PartitionIdentity>> {
  const found = new Map<string, PartitionIdentity>();
  for (const volume of volumes.filter(({ partition }) => partition !== null)) {
    const { output } = await guest.attempt('blkid', [volume.device]);
    found.set(volume.device, { place: placeOf(volume), identity: identityOf(output) });
  }
  return found;
}

/** blkid's PART_ENTRY_UUID: the partition's GUID, or the disk's signature and the partition's number. */
export function identityOf(blkid: string): Buffer | null {
  const value = (key: string) => new RegExp(`^${key}: (.*)$`, 'm').exec(blkid)?.[1] ?? '';
  const uuid = value('PART_ENTRY_UUID');
  const scheme = value('PART_ENTRY_SCHEME');
  if (scheme === 'gpt' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(uuid)) return gptIdentity(uuid);
  const signature = /^([0-9a-f]{8})-[0-9a-f]+$/i.exec(uuid)?.[1];
  const offset = value('PART_ENTRY_OFFSET');
  if (scheme !== 'dos' || signature === undefined || !/^\d{1,15}$/.test(offset)) return null;
  return mbrIdentity(signature, Number(offset) * sectorBytes);
}

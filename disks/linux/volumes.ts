/** Every volume on a server's disks: partitions, bare disks, arrays, logical volumes, and what opened LUKS volumes hold. */
import { printable } from '../guestfish-words';
import type { Guestfish } from '../guestfish';
import { perishableDevice, type GuestVolume } from './device-names';
import { openVolume } from './unlock';

export interface LabelledVolume extends GuestVolume {
  readonly label: string;
  readonly partUuid: string;
  /** What it lies in, where that is an opened LUKS volume. */
  readonly inside?: { readonly uuid: string; readonly place: string };
  /** Of a LUKS volume that could not be opened: why, in words. */
  readonly locked?: string;
}

const maxVolumes = 256;

/**
 * Every volume with what blkid says of it. Encrypted ones are opened where one of `keys` fits; logical volumes may lie in
 * them, and they in logical volumes.
 *
 * @throws TransientError when the appliance fails.
 */
export async function listVolumes(guest: Guestfish, keys: readonly Uint8Array[] = []): Promise<LabelledVolume[]> {
  const partitions = lines(await guest.ask('list-partitions'));
  const bare = lines(await guest.ask('list-devices')).filter((disk) => !partitions.some((p) => isPartOf(p, disk)));
  const volumes = await readVolumes(guest, [...partitions, ...bare]);
  if (volumes.some((volume) => volume.type === 'linux_raid_member')) {
    volumes.push(...(await readVolumes(guest, lines(await guest.ask('list-md-devices')))));
  }
  let opened = 0;
  for (let known = -1; known !== volumes.length && volumes.length < maxVolumes;) {
    known = volumes.length;
    if (volumes.some((volume) => volume.type === 'LVM2_member')) {
      if (opened > 0) await guest.ask('lvm-scan', ['true']);
      const found = lines(await guest.ask('lvs')).filter((device) => !volumes.some((v) => v.device === device));
      volumes.push(...(await readVolumes(guest, found)));
    }
    for (const [index, volume] of volumes.entries()) {
      if (volume.type !== 'crypto_LUKS' || volume.locked !== undefined || isOpened(volume, volumes)) continue;
      const result = await openVolume(guest, volume.device, `muster-${opened}`, keys);
      if ('locked' in result) volumes[index] = { ...volume, locked: result.locked };
      else {
        opened += 1;
        const inside = { uuid: volume.uuid, place: placeOf(volume) };
        volumes.push(...(await readVolumes(guest, [result.device])).map((inner) => ({ ...inner, inside })));
      }
    }
  }
  return volumes;
}

/** For messages: `disk0, partition 2`, or the name of a logical volume. */
export function placeOf(volume: LabelledVolume): string {
  if (volume.inside !== undefined) return `the opened volume of ${volume.inside.place}`;
  if (volume.disk < 0) return printable(volume.device);
  return `disk${volume.disk}${volume.partition === null ? '' : `, partition ${volume.partition}`}`;
}

const isOpened = (volume: LabelledVolume, volumes: readonly LabelledVolume[]) =>
  volumes.some(({ inside }) => inside !== undefined && inside.place === placeOf(volume));

const lines = (text: string) =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .slice(0, maxVolumes);

const isPartOf = (partition: string, disk: string) =>
  /^p?\d+$/.test(partition.slice(disk.length)) && partition.startsWith(disk);

async function readVolumes(guest: Guestfish, devices: readonly string[]): Promise<LabelledVolume[]> {
  const volumes: LabelledVolume[] = [];
  for (const device of devices) {
    const { output } = await guest.attempt('blkid', [device]);
    const value = (key: string) => new RegExp(`^${key}: (.*)$`, 'm').exec(output)?.[1] ?? '';
    const place = perishableDevice(device);
    volumes.push({
      disk: place?.disk ?? -1,
      partition: place?.partition ?? null,
      device,
      type: value('TYPE'),
      uuid: value('UUID'),
      label: value('LABEL'),
      partUuid: value('PART_ENTRY_UUID'),
    });
  }
  return volumes;
}

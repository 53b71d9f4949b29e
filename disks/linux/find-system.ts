/**
 * Finds the operating system on a server's disks. libguestfs's own inspection does the same for every system there is
 * and takes 10 s without KVM; looking for Linux only takes one.
 */
import { OperatorError } from '../../model/errors';
import type { GuestFiles } from '../guest-files';
import type { Guestfish } from '../guestfish';
import { printable } from '../guestfish-words';
import { perishableDevice, type GuestVolume } from './device-names';

export interface LabelledVolume extends GuestVolume {
  readonly label: string;
  readonly partUuid: string;
}

export interface LinuxSystem {
  readonly root: string;
  /** os-release. */
  readonly id: string;
  readonly idLike: readonly string[];
  readonly prettyName: string;
  /** Mount point -> the appliance's device, shortest first: the parts of the system that inoculation needs. */
  readonly mounts: ReadonlyMap<string, string>;
}

const linuxFilesystems = ['ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'f2fs', 'jfs'];
const neededMounts = ['/boot', '/boot/efi', '/usr', '/var'];
const maxVolumes = 256;

/** Every partition, bare disk, logical volume and array with what blkid says of it. */
export async function listVolumes(guest: Guestfish): Promise<LabelledVolume[]> {
  const partitions = lines(await guest.ask('list-partitions'));
  const bare = lines(await guest.ask('list-devices')).filter((disk) => !partitions.some((p) => isPartOf(p, disk)));
  const devices = [...partitions, ...bare];
  const volumes = await readVolumes(guest, devices);
  if (volumes.some((volume) => volume.type === 'linux_raid_member')) {
    volumes.push(...(await readVolumes(guest, lines(await guest.ask('list-md-devices')))));
  }
  if (volumes.some((volume) => volume.type === 'LVM2_member')) {
    volumes.push(...(await readVolumes(guest, lines(await guest.ask('lvs')))));
  }
  return volumes;
}

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

/**
 * Mounts each candidate for reading and looks for a Linux system. Nothing is mounted afterwards.
 *
 * @throws OperatorError naming what is on the disks when there is none, more than one, or a filesystem that is damaged.
 */
export async function findLinux(
  guest: Guestfish,
  files: GuestFiles,
  volumes: readonly LabelledVolume[],
): Promise<LinuxSystem> {
  refuseHibernated(volumes);
  const found: LinuxSystem[] = [];
  const broken: { volume: LabelledVolume; error: string }[] = [];
  for (const volume of volumes.filter(({ type }) => linuxFilesystems.includes(type))) {
    const { error } = await guest.attempt('mount-ro', [volume.device, '/']);
    if (error !== null) {
      broken.push({ volume, error });
      continue;
    }
    const system = await readSystem(guest, files, volume, volumes);
    if (system !== null) found.push(system);
    await guest.ask('umount-all');
  }
  const system = found[0];
  if (system === undefined && broken[0] !== undefined) throw damaged(broken[0].volume, broken[0].error);
  if (system === undefined) throw noSystem(volumes);
  if (found.length > 1) throw severalSystems(found);
  const needed = broken.find(({ volume }) => [...system.mounts.values()].includes(volume.device));
  if (needed !== undefined) throw damaged(needed.volume, needed.error);
  return system;
}

async function readSystem(
  guest: Guestfish,
  files: GuestFiles,
  volume: LabelledVolume,
  volumes: readonly LabelledVolume[],
): Promise<LinuxSystem | null> {
  if (!(await files.isFolder('/etc')) || !(await files.isFile('/etc/fstab'))) return null;
  // With /usr on a filesystem of its own, os-release is a link into nowhere; debian_version is always in /etc.
  const release = (await files.text('/etc/os-release')) ?? '';
  if (release === '' && !(await files.isFile('/etc/debian_version'))) return null;
  await refuseErrors(guest, volume);
  const value = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(release)?.[1]?.replace(/^["']|["']$/g, '') ?? '';
  return {
    root: volume.device,
    id: printable(value('ID')) || 'debian',
    idLike: printable(value('ID_LIKE')).split(' ').filter(Boolean),
    prettyName: printable(value('PRETTY_NAME')) || 'Debian (no os-release)',
    mounts: mountsOf((await files.text('/etc/fstab')) ?? '', volume, volumes),
  };
}

/** The parts of the system that lie on filesystems of their own, out of fstab. */
export function mountsOf(
  fstab: string,
  root: LabelledVolume,
  volumes: readonly LabelledVolume[],
): ReadonlyMap<string, string> {
  const mounts = new Map([['/', root.device]]);
  const entries = fstab
    .split('\n')
    .filter((line) => !/^\s*(#|$)/.test(line))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, point]) => point !== undefined && neededMounts.includes(point))
    .sort((a, b) => a[1]!.length - b[1]!.length);
  for (const [spec, point] of entries) {
    const volume = volumeOf(spec!, volumes);
    if (volume !== undefined) mounts.set(point!, volume.device);
  }
  return mounts;
}

function volumeOf(spec: string, volumes: readonly LabelledVolume[]): LabelledVolume | undefined {
  const tag = /^(UUID|LABEL|PARTUUID)=["']?([^"']+)["']?$/.exec(spec) ?? byLink(spec);
  if (tag !== null) {
    const wanted = tag[2]!.toLowerCase();
    const key = { UUID: 'uuid', LABEL: 'label', PARTUUID: 'partUuid' }[tag[1]!] as 'uuid' | 'label' | 'partUuid';
    return volumes.find((volume) => volume[key] !== '' && volume[key].toLowerCase() === wanted);
  }
  const mapped = /^\/dev\/mapper\/(.+)$/.exec(spec);
  // Device-mapper writes a `-` in a name as `--` and joins group and volume with a single one.
  const logical = mapped?.[1]?.replace(/--|-/g, (dashes) => (dashes === '--' ? '-' : '/'));
  if (logical !== undefined) return volumes.find((volume) => volume.device === `/dev/${logical}`);
  const place = perishableDevice(spec);
  if (place?.disk == null) return volumes.find((volume) => volume.device === spec && place === null);
  return volumes.find((volume) => volume.disk === place.disk && volume.partition === place.partition);
}

function byLink(spec: string): RegExpExecArray | null {
  const link = /^\/dev\/disk\/by-(uuid|label|partuuid)\/(.+)$/.exec(spec);
  if (link !== null) link[1] = link[1]!.toUpperCase();
  return link;
}

/** A hibernated system wakes with the filesystems as it remembers them: whatever is written beneath it destroys them. */
export function refuseHibernated(volumes: readonly LabelledVolume[]): void {
  const image = volumes.find(({ type }) => type === 'swsuspend');
  if (image === undefined) return;
  throw new OperatorError({
    what: 'the system on the disks is hibernated and cannot be changed safely',
    found: `a hibernation image on ${place(image)}`,
    needed: 'a system that was running or shut down',
    remedy:
      'Choose a recovery point from before the hibernation, or discard the image: mkswap in the overlay with guestfish.',
  });
}

/** A filesystem that its own kernel has marked as damaged is not written to. */
export async function refuseErrors(guest: Guestfish, volume: LabelledVolume): Promise<void> {
  if (!volume.type.startsWith('ext')) return;
  const state = /^Filesystem state: (.*)$/m.exec(await guest.ask('tune2fs-l', [volume.device]))?.[1] ?? '';
  if (state.includes('error')) throw damaged(volume, `state "${printable(state)}"`);
}

function damaged(volume: LabelledVolume, error: string): OperatorError {
  const where = place(volume);
  const check = volume.type === 'xfs' ? `xfs-repair ${volume.device}` : `e2fsck-f ${volume.device}`;
  return new OperatorError({
    what: `the ${volume.type} filesystem on ${where} is damaged`,
    found: error,
    needed: 'a filesystem that can be mounted',
    remedy: `Choose an earlier recovery point, or repair the overlay: guestfish with all disks of the server, then "run" and "${check}".`,
  });
}

const place = (volume: GuestVolume) =>
  volume.disk < 0
    ? printable(volume.device)
    : `disk${volume.disk}${volume.partition === null ? '' : `, partition ${volume.partition}`}`;

function noSystem(volumes: readonly LabelledVolume[]): OperatorError {
  const seen = volumes.map((volume) => `${place(volume)}: ${volume.type || 'nothing known'}`).join('; ');
  const locked = volumes.some(({ type }) => type === 'crypto_LUKS');
  return new OperatorError({
    what: 'no Linux system was found on the disks',
    found: printable(seen) || 'no volumes',
    needed: 'one filesystem with /etc/fstab and /etc/os-release',
    remedy: locked
      ? 'The system is encrypted (LUKS) and its key is not known to Muster: skip this step if it boots on the hardware by itself.'
      : 'Look whether the signatures were applied and whether all disks of the server are there.',
  });
}

function severalSystems(found: readonly LinuxSystem[]): OperatorError {
  return new OperatorError({
    what: 'more than one Linux system was found on the disks',
    found: found.map((system) => `${system.root}: ${system.prettyName}`).join('; '),
    needed: 'exactly one',
    remedy: 'Inoculate the right one by hand (docs), then skip this step with that reason.',
  });
}

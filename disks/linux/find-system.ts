/**
 * Finds the operating system on a server's disks. libguestfs's own inspection does the same for every system there is
 * and takes 10 s without KVM; looking for Linux only takes one.
 */
import { OperatorError } from '../../model/errors';
import type { GuestFiles } from '../guest-files';
import type { Guestfish } from '../guestfish';
import { printable } from '../guestfish-words';
import { damaged, missingPart, noSystem, severalSystems } from './find-errors';
import { btrfsMountable, deviceOf, fstabEntries, mountsOf, subvolumeOf, type Mounts } from './mounts';
import { readOsRelease, type OsRelease } from './os-release';
import { placeOf, type LabelledVolume } from './volumes';

export { listVolumes, type LabelledVolume } from './volumes';

export interface LinuxSystem extends OsRelease {
  /** What the appliance mounts as its root. */
  readonly root: string;
  /** Mount point -> what the appliance mounts there, outer ones first: the parts of the system that inoculation needs. */
  readonly mounts: ReadonlyMap<string, string>;
}

type Found = LinuxSystem & { readonly place: string; readonly missing: Mounts['missing'] };

const linuxFilesystems = ['ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'f2fs', 'jfs'];
const maxSubvolumes = 64;

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
  const found: Found[] = [];
  const broken: { volume: LabelledVolume; error: string }[] = [];
  for (const volume of volumes.filter(({ type }) => linuxFilesystems.includes(type))) {
    const { error } = await guest.attempt('mount-ro', [volume.device, '/']);
    if (error !== null) {
      broken.push({ volume, error: await withKernelsWords(guest, error) });
      continue;
    }
    const system = await readSystem(guest, files, volume, volume.device, volumes);
    if (system !== null) found.push(system);
    const subvolumes = system === null && volume.type === 'btrfs' ? await subvolumesOf(guest) : [];
    await guest.ask('umount-all');
    for (const subvolume of subvolumes) found.push(...(await inSubvolume(guest, files, volume, subvolume, volumes)));
  }
  const system = found[0];
  if (system === undefined && broken[0] !== undefined) throw damaged(broken[0].volume, broken[0].error);
  if (system === undefined) throw noSystem(volumes);
  if (found.length > 1) throw severalSystems(found);
  const needed = broken.find(({ volume }) =>
    [...system.mounts.values()].some((mountable) => deviceOf(mountable, [volume]) !== undefined),
  );
  if (needed !== undefined) throw damaged(needed.volume, needed.error);
  if (system.missing[0] !== undefined) throw missingPart(system.missing[0], volumes);
  const { root, id, idLike, prettyName, mounts } = system;
  return { root, id, idLike, prettyName, mounts };
}

/** mount says the same of every damage; the appliance's kernel knows which it was. */
async function withKernelsWords(guest: Guestfish, error: string): Promise<string> {
  const { output } = await guest.attempt('dmesg');
  const last = output
    .trimEnd()
    .split('\n')
    .slice(-20)
    .findLast((line) => /error|corrupt|fail|invalid|not found/i.test(line));
  return last === undefined ? error : `${printable(last.replace(/^\[[^\]]*\] /, ''))} (${error})`;
}

/** Paths of a mounted btrfs's subvolumes, as its own tools list them. */
async function subvolumesOf(guest: Guestfish): Promise<string[]> {
  const listing = await guest.ask('btrfs-subvolume-list', ['/']);
  return [...listing.matchAll(/^[ \t]*btrfssubvolume_path: (.*)$/gm)].map((line) => line[1]!).slice(0, maxSubvolumes);
}

/** A system counts only in the subvolume that its own fstab names: snapshots hold the same files. */
async function inSubvolume(
  guest: Guestfish,
  files: GuestFiles,
  volume: LabelledVolume,
  subvolume: string,
  volumes: readonly LabelledVolume[],
): Promise<Found[]> {
  if (subvolumeOf([`subvol=${subvolume}`]) === undefined) return [];
  const mountable = btrfsMountable(volume.device, subvolume);
  const { error } = await guest.attempt('mount-ro', [mountable, '/']);
  if (error !== null) return [];
  const fstab = (await files.text('/etc/fstab')) ?? '';
  const root = fstabEntries(fstab).find(({ point }) => point === '/');
  const named = root !== undefined && subvolumeOf(root.options) === subvolume;
  const system = named ? await readSystem(guest, files, volume, mountable, volumes) : null;
  await guest.ask('umount-all');
  return system === null ? [] : [system];
}

async function readSystem(
  guest: Guestfish,
  files: GuestFiles,
  volume: LabelledVolume,
  mountable: string,
  volumes: readonly LabelledVolume[],
): Promise<Found | null> {
  if (!(await files.isFolder('/etc')) || !(await files.isFile('/etc/fstab'))) return null;
  // With /usr on a filesystem of its own, os-release is a link into nowhere; debian_version is always in /etc.
  const release = (await files.text('/etc/os-release')) ?? '';
  if (release === '' && !(await files.isFile('/etc/debian_version'))) return null;
  await refuseErrors(guest, volume);
  const crypttab = (await files.text('/etc/crypttab')) ?? '';
  const mounts = mountsOf((await files.text('/etc/fstab')) ?? '', { ...volume, mountable }, volumes, crypttab);
  return {
    root: mountable,
    place: placeOf(volume),
    ...readOsRelease(release),
    mounts: mounts.points,
    missing: mounts.missing,
  };
}

/** A hibernated system wakes with the filesystems as it remembers them: whatever is written beneath it destroys them. */
export function refuseHibernated(volumes: readonly LabelledVolume[]): void {
  const image = volumes.find(({ type }) => type === 'swsuspend');
  if (image === undefined) return;
  throw new OperatorError({
    what: 'the system on the disks is hibernated and cannot be changed safely',
    found: `a hibernation image on ${placeOf(image)}`,
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

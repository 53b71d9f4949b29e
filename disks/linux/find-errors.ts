/** What is said when no single healthy Linux system is found on a server's disks. */
import { OperatorError } from '../../model/errors';
import { printable } from '../guestfish-words';
import type { LinuxSystem } from './find-system';
import { placeOf, type LabelledVolume } from './volumes';

const describe = (volume: LabelledVolume): string =>
  `${placeOf(volume)}: ${printable(volume.type) || 'nothing known'}${volume.locked === undefined ? '' : ` (${volume.locked})`}`;

/** Nothing on the disks looks like a Linux system; an encrypted volume that stayed closed may be why. */
export function noSystem(volumes: readonly LabelledVolume[]): OperatorError {
  const locked = volumes.filter((volume) => volume.locked !== undefined);
  const seen = volumes.map(describe).join('; ') || 'no volumes';
  if (locked.length > 0) {
    return new OperatorError({
      what: `no Linux system was found, and ${locked.map(placeOf).join(' and ')} is encrypted (LUKS) and stayed closed`,
      found: seen,
      needed: `a key that opens ${locked.map(({ uuid }) => `LUKS volume ${printable(uuid)}`).join(' or ')}`,
      remedy:
        'Put the key into a file of the worker’s secrets folder (mode 0600) and name it: `muster provide RUN --set unlockKeys=file:NAME --reason …`; or skip this step if the system boots on the hardware by itself.',
    });
  }
  return new OperatorError({
    what: 'no Linux system was found on the disks',
    found: seen,
    needed: 'one filesystem with /etc/fstab and /etc/os-release',
    remedy:
      'Look whether the signatures were applied and whether all disks of the server are there; choose an earlier recovery point, or skip this step if the server needs no drivers.',
  });
}

export function severalSystems(found: readonly (LinuxSystem & { readonly place: string })[]): OperatorError {
  return new OperatorError({
    what: 'more than one Linux system was found on the disks',
    found: found.map((system) => `${system.place}: ${system.prettyName}`).join('; '),
    needed: 'exactly one',
    remedy:
      'Give the overlay of the right one its drivers by hand (guestfish) and skip this step with that reason, or protect the server without the disk that holds the other.',
  });
}

/** A part of the system lies on a disk that is not there, or in a volume that is closed. */
export function missingPart(
  missing: { readonly point: string; readonly spec: string },
  volumes: readonly LabelledVolume[],
): OperatorError {
  return new OperatorError({
    what: `${missing.point} of the system cannot be found on the disks`,
    found: volumes.map(describe).join('; '),
    needed: `${printable(missing.spec)}, which the system's fstab names`,
    remedy: volumes.some(({ locked }) => locked !== undefined)
      ? 'Name the key of the closed volume: `muster provide RUN --set unlockKeys=file:NAME --reason …`.'
      : 'Look whether all disks of the server are protected, or choose an earlier recovery point.',
  });
}

const checks: Readonly<Record<string, string>> = { xfs: 'xfs-repair', btrfs: 'btrfs-check' };

/** `error`: what the filesystem's own kernel or tools say of it. */
export function damaged(volume: LabelledVolume, error: string): OperatorError {
  const check = `${checks[volume.type] ?? 'e2fsck-f'} ${volume.device}`;
  return new OperatorError({
    what: `the ${printable(volume.type)} filesystem on ${placeOf(volume)} is damaged`,
    found: error,
    needed: 'a filesystem that can be mounted',
    remedy: `Choose an earlier recovery point, or repair the overlay: guestfish with all disks of the server, then "run" and "${check}".`,
  });
}

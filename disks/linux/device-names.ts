/**
 * Which names of a disk survive a change of hardware, and which disk and partition a name that does not survive means.
 *
 * The kernel hands out sdX, hdX, vdX and nvmeXnY by driver and order; by-path holds the controller's place on the bus,
 * by-id its model. UUID=, LABEL=, PARTUUID= and device-mapper names come from the disk itself.
 */

export interface DevicePlace {
  /** 0 for the first disk of its kind; null where the name does not say (by-path, by-id). */
  readonly disk: number | null;
  /** Null for the whole disk. */
  readonly partition: number | null;
}

const patterns = {
  letters: /^\/dev\/(?:sd|hd|vd|xvd)([a-z]{1,2})(\d{1,3})?$/,
  nvme: /^\/dev\/nvme(\d{1,2})n1(?:p(\d{1,3}))?$/,
  link: /^\/dev\/disk\/(?:by-path|by-id)\/.+?(?:-part(\d{1,3}))?$/,
};
/** by-id names made from what is on the disk, not from the disk's model. */
const lastingIds = /^\/dev\/disk\/by-id\/(?:dm-|lvm-|md-)/;

/** The place that a name means when it would not survive; null for names that do. */
export function perishableDevice(name: string): DevicePlace | null {
  const letters = patterns.letters.exec(name);
  if (letters) return { disk: letterIndex(letters[1]!), partition: numberOrNull(letters[2]) };
  const nvme = patterns.nvme.exec(name);
  if (nvme) return { disk: Number(nvme[1]), partition: numberOrNull(nvme[2]) };
  if (lastingIds.test(name)) return null;
  const link = patterns.link.exec(name);
  return link ? { disk: null, partition: numberOrNull(link[1]) } : null;
}

/** a -> 0, z -> 25, aa -> 26. */
function letterIndex(letters: string): number {
  return [...letters].reduce((index, letter) => index * 26 + letter.charCodeAt(0) - 96, 0) - 1;
}

const numberOrNull = (text: string | undefined) => (text === undefined ? null : Number(text));

/** A volume as the appliance sees it. */
export interface GuestVolume {
  /** Index of the server's disk. */
  readonly disk: number;
  readonly partition: number | null;
  /** The appliance's own name, `/dev/sda1`. */
  readonly device: string;
  readonly type: string;
  /** Empty where it has none. */
  readonly uuid: string;
}

export type Resolve = (name: string, filesystem?: string) => Resolution;
export type Resolution =
  /** The name survives. */
  | { readonly kind: 'lasting' }
  | { readonly kind: 'uuid'; readonly uuid: string }
  | { readonly kind: 'unknown'; readonly because: string };

/** Says of a device name in the guest's files what it is to become. `filesystem` is what the file says is on it. */
export function resolverFor(volumes: readonly GuestVolume[], diskCount: number): Resolve {
  return (name, filesystem) => {
    const place = perishableDevice(name);
    if (place === null) return { kind: 'lasting' };
    const disk = place.disk ?? (diskCount === 1 ? 0 : null);
    // Logical and opened volumes have no place on a disk; they are never named by one.
    const fits = volumes.filter(
      (volume) => volume.disk >= 0 && (filesystem === undefined || filesystem === 'auto' || volume.type === filesystem),
    );
    const named = fits.filter((volume) => volume.disk === disk && volume.partition === place.partition);
    // A name without a disk still means something when only one volume of that kind exists (a swap partition).
    const found = named.length === 1 || disk !== null ? named : fits.filter((v) => v.partition === place.partition);
    if (found.length === 1 && found[0]!.uuid !== '') return { kind: 'uuid', uuid: found[0]!.uuid };
    if (found.length === 1) return { kind: 'unknown', because: 'that volume has no UUID' };
    const kind = filesystem === undefined ? 'volume' : `${filesystem} volume`;
    return { kind: 'unknown', because: `${found.length === 0 ? 'no' : 'more than one'} ${kind} fits that name` };
  };
}

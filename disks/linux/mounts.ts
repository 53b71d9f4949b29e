/** Which of the disks' volumes a system mounts where, out of its fstab and crypttab. */
import { perishableDevice } from './device-names';
import type { LabelledVolume } from './volumes';

/** What inoculation reads and writes; the rest of a system is left alone. Without the first two there is nothing to inoculate. */
const neededMounts = ['/boot', '/usr', '/boot/efi', '/efi', '/var'];
const indispensable = ['/boot', '/usr'];

export interface Mounts {
  /** Mount point -> what the appliance mounts there (a device, or `btrfsvol:/dev/sda2/@boot`), outer ones first. */
  readonly points: ReadonlyMap<string, string>;
  /** Entries that the system cannot be inoculated without and that name nothing on these disks. */
  readonly missing: readonly { readonly point: string; readonly spec: string }[];
}

/** The parts of the system that lie on filesystems of their own. */
export function mountsOf(
  fstab: string,
  root: LabelledVolume & { readonly mountable?: string },
  volumes: readonly LabelledVolume[],
  crypttab = '',
): Mounts {
  const points = new Map([['/', root.mountable ?? root.device]]);
  const missing: { point: string; spec: string }[] = [];
  const opened = crypttabEntries(crypttab);
  for (const { spec, point, options } of fstabEntries(fstab)) {
    if (!neededMounts.includes(point)) continue;
    const volume = volumeOf(spec, volumes, opened);
    if (volume !== undefined) points.set(point, mountableOf(volume, options));
    else if (indispensable.includes(point) && !options.includes('noauto') && !options.includes('nofail')) {
      missing.push({ point, spec });
    }
  }
  return { points, missing };
}

interface FstabEntry {
  readonly spec: string;
  readonly point: string;
  readonly options: readonly string[];
}

/** fstab(5), outer mount points first. */
export function fstabEntries(fstab: string): FstabEntry[] {
  return fstab
    .split('\n')
    .filter((line) => !/^\s*(#|$)/.test(line))
    .map((line) => line.trim().split(/\s+/))
    .flatMap(([spec, point, , options = '']) =>
      spec === undefined || point === undefined ? [] : [{ spec, point, options: options.split(',') }],
    )
    .sort((a, b) => a.point.length - b.point.length);
}

/** Of `subvol=/@boot,compress=zstd`: `@boot`; undefined where no subvolume is named. */
export function subvolumeOf(options: readonly string[]): string | undefined {
  const named = options.map((option) => /^subvol=["']?\/?(.*?)["']?$/.exec(option)?.[1]).find((path) => path);
  return named !== undefined && plainSubvolume.test(named) ? named : undefined;
}

const plainSubvolume = /^[A-Za-z0-9@_.+-]+(\/[A-Za-z0-9@_.+-]+)*$/;

/** guestfs(3), "BTRFS SUBVOLUMES". */
export const btrfsMountable = (device: string, subvolume: string) => `btrfsvol:${device}/${subvolume}`;

/** The device in what is mounted. */
export const deviceOf = (mountable: string, volumes: readonly LabelledVolume[]): LabelledVolume | undefined =>
  volumes.find(({ device }) => mountable === device || mountable.startsWith(`btrfsvol:${device}/`));

function mountableOf(volume: LabelledVolume, options: readonly string[]): string {
  const subvolume = volume.type === 'btrfs' ? subvolumeOf(options) : undefined;
  return subvolume === undefined ? volume.device : btrfsMountable(volume.device, subvolume);
}

/** crypttab(5): name -> device; the first of two lines with one name. */
function crypttabEntries(crypttab: string): Map<string, string | undefined> {
  const fields = crypttab.split('\n').map((line) => line.trim().split(/\s+/));
  return new Map(fields.reverse().map(([name, device]) => [name!, device]));
}

type Crypttab = ReadonlyMap<string, string | undefined>;

function volumeOf(spec: string, volumes: readonly LabelledVolume[], crypttab: Crypttab): LabelledVolume | undefined {
  const tag = /^(UUID|LABEL|PARTUUID)=["']?([^"']+)["']?$/.exec(spec) ?? byLink(spec);
  if (tag !== null) {
    const wanted = tag[2]!.toLowerCase();
    const key = { UUID: 'uuid', LABEL: 'label', PARTUUID: 'partUuid' }[tag[1]!] as 'uuid' | 'label' | 'partUuid';
    return volumes.find((volume) => volume[key] !== '' && volume[key].toLowerCase() === wanted);
  }
  const mapped = /^\/dev\/mapper\/(.+)$/.exec(spec)?.[1];
  if (mapped !== undefined) {
    // Device-mapper writes a `-` in a name as `--` and joins group and volume with a single one.
    const logical = mapped.replace(/--|-/g, (dashes) => (dashes === '--' ? '-' : '/'));
    return volumes.find(({ device }) => device === `/dev/${logical}`) ?? openedAs(mapped, volumes, crypttab);
  }
  const place = perishableDevice(spec);
  if (place?.disk == null) return volumes.find((volume) => volume.device === spec && place === null);
  return volumes.find((volume) => volume.disk === place.disk && volume.partition === place.partition);
}

/** What crypttab opens under that name. */
function openedAs(name: string, volumes: readonly LabelledVolume[], crypttab: Crypttab): LabelledVolume | undefined {
  const device = crypttab.get(name);
  const container = device === undefined ? undefined : volumeOf(device, volumes, new Map());
  const inside = volumes.filter((volume) => volume.inside !== undefined);
  if (container !== undefined) return inside.find((volume) => volume.inside!.uuid === container.uuid);
  // A name by the old controller (by-id, by-path) says nothing here; with one opened volume there is no doubt.
  return crypttab.has(name) && inside.length === 1 ? inside[0] : undefined;
}

function byLink(spec: string): RegExpExecArray | null {
  const link = /^\/dev\/disk\/by-(uuid|label|partuuid)\/(.+)$/.exec(spec);
  if (link !== null) link[1] = link[1]!.toUpperCase();
  return link;
}

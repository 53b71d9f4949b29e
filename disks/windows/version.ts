/** Which Windows it is, and which folders of a driver folder hold drivers for it. Pure. */

export type WindowsArchitecture = 'amd64' | 'x86' | 'ARM64';

export interface WindowsVersion {
  /** As the system calls itself; comes from the guest, so it is printable only through `describeWindows`. */
  readonly productName: string;
  readonly major: number;
  readonly minor: number;
  readonly build: number;
  /** Client or server: InstallationType says `Client`, `Server` or `Server Core`. */
  readonly kind: 'client' | 'server';
  readonly architecture: WindowsArchitecture;
}

/** What the SOFTWARE hive says under Microsoft\Windows NT\CurrentVersion, and SYSTEM of the processor. */
export interface VersionFacts {
  readonly productName: string | null;
  /** `6.1`, `6.3`; Windows 10 and later still say 6.3 here and have the numbers below. */
  readonly currentVersion: string | null;
  readonly majorNumber: number | null;
  readonly minorNumber: number | null;
  readonly buildNumber: string | null;
  readonly installationType: string | null;
  /** `AMD64`, `x86`, `ARM64`. */
  readonly processor: string | null;
}

/** Null where the facts do not make a version that drivers could be chosen by. */
export function readVersion(facts: VersionFacts): WindowsVersion | null {
  const numbers = /^(\d{1,3})\.(\d{1,3})$/.exec(facts.currentVersion ?? '');
  const build = /^\d{1,9}$/.test(facts.buildNumber ?? '') ? Number(facts.buildNumber) : null;
  const architecture = architectures[(facts.processor ?? '').toLowerCase()];
  const major = facts.majorNumber ?? (numbers === null ? null : Number(numbers[1]));
  const minor = facts.minorNumber ?? (numbers === null ? null : Number(numbers[2]));
  if (major === null || minor === null || build === null || architecture === undefined) return null;
  const server = /^server/i.test(facts.installationType ?? '') || /\bserver\b/i.test(facts.productName ?? '');
  const kind = server ? 'server' : 'client';
  return { productName: facts.productName ?? 'Windows', major, minor, build, kind, architecture };
}

const architectures: Readonly<Record<string, WindowsArchitecture>> = { amd64: 'amd64', x86: 'x86', arm64: 'ARM64' };

/** Windows 8 replaced the CriticalDeviceDatabase by the DriverDatabase. */
export const hasDriverDatabase = ({ major, minor }: WindowsVersion): boolean =>
  major > 6 || (major === 6 && minor >= 2);

/** `6.1 build 7601, amd64`: all digits and closed words, so fit for messages as it is. */
export const describeVersion = ({ major, minor, build, architecture }: WindowsVersion): string =>
  `${major}.${minor} build ${build}, ${architecture}`;

interface Release {
  readonly from: number;
  readonly name: string;
}

/** virtio-win's folder names by the first build that they are for (virtio-win's documentation of its ISO). */
const servers10: readonly Release[] = [
  { from: 26_100, name: '2k25' },
  { from: 20_348, name: '2k22' },
  { from: 17_763, name: '2k19' },
  { from: 0, name: '2k16' },
];
const clients10: readonly Release[] = [
  { from: 22_000, name: 'w11' },
  { from: 0, name: 'w10' },
];
/** Client and server of one kernel take the same drivers. */
const twins: Readonly<Record<string, readonly [client: string, server: string]>> = {
  '6.0': ['vista', '2k8'],
  '6.1': ['w7', '2k8R2'],
  '6.2': ['w8', '2k12'],
  '6.3': ['w8.1', '2k12R2'],
};

/**
 * Folder names to look in, best first: the system's own, then earlier ones of the same generation, then those of its
 * client or server twin. Empty for a Windows that is not known here.
 */
export function driverFolderNames({ major, minor, build, kind }: WindowsVersion): string[] {
  const own = kind === 'server';
  if (major === 10) {
    const names = (releases: readonly Release[]) => releases.filter(({ from }) => from <= build).map((r) => r.name);
    return own ? [...names(servers10), ...names(clients10)] : [...names(clients10), ...names(servers10)];
  }
  const pair = twins[`${major}.${minor}`];
  if (pair === undefined) return [];
  return own ? [pair[1], pair[0]] : [pair[0], pair[1]];
}

/**
 * The vocabulary of what is protected and what it is recovered onto.
 *
 *   server ──protect──> replication session ──cycles──> recovery points (replica)
 *                                                             │ run: freeze, take
 *                                                             v
 *   recovered VM <──hand over── inoculated overlay <──edit── overlay on one point
 */

import type { SecretRef } from './secrets';

export type ServerId = string;
export type DiskId = string;
export type SiteId = string;
export type MachineName = string;

export const firmwares = ['bios', 'uefi'] as const;
export type Firmware = (typeof firmwares)[number];

export const diskControllers = ['sata', 'virtio', 'pvscsi', 'lsisas', 'nvme'] as const;
export type DiskController = (typeof diskControllers)[number];

export const nicModels = ['e1000', 'e1000e', 'virtio', 'vmxnet3'] as const;
export type NicModel = (typeof nicModels)[number];

/** What a server boots on, as far as its operating system can tell. Inoculation knows these, not platforms. */
export interface HardwareProfile {
  readonly id: string;
  readonly title: string;
  readonly kind: 'virtual' | 'physical';
  readonly diskController: DiskController;
  readonly nicModel: NicModel;
  /** Linux kernel modules without which root or network is not found, in load order. */
  readonly linuxModules: readonly string[];
  /** What Windows needs for the same, boot-critical storage first. */
  readonly windowsDrivers: readonly WindowsDriver[];
}

/** A driver as Windows names it. */
export interface WindowsDriver {
  /** Name of its key under Services, and of its .inf and .sys in a driver folder. */
  readonly service: string;
  readonly kind: 'storage' | 'network';
  /** It comes with Windows; otherwise its files are taken from the driver folder. */
  readonly inbox: boolean;
}

export const hardwareProfiles: Readonly<Record<string, HardwareProfile>> = {
  'vmware-pvscsi': {
    id: 'vmware-pvscsi',
    title: 'VMware-like: pvscsi disks, vmxnet3 network',
    kind: 'virtual',
    diskController: 'pvscsi',
    nicModel: 'vmxnet3',
    linuxModules: ['vmw_pvscsi', 'vmxnet3', 'sd_mod'],
    windowsDrivers: [
      { service: 'pvscsi', kind: 'storage', inbox: false },
      { service: 'vmxnet3', kind: 'network', inbox: false },
    ],
  },
  'kvm-virtio': {
    id: 'kvm-virtio',
    title: 'KVM: virtio disks and network',
    kind: 'virtual',
    diskController: 'virtio',
    nicModel: 'virtio',
    linuxModules: ['virtio_pci', 'virtio_blk', 'virtio_net'],
    windowsDrivers: [
      { service: 'viostor', kind: 'storage', inbox: false },
      { service: 'netkvm', kind: 'network', inbox: false },
    ],
  },
  'pc-ahci': {
    id: 'pc-ahci',
    title: 'PC: AHCI (SATA) disks, e1000 network',
    kind: 'virtual',
    diskController: 'sata',
    nicModel: 'e1000',
    linuxModules: ['ahci', 'sd_mod', 'e1000'],
    windowsDrivers: [
      { service: 'storahci', kind: 'storage', inbox: true },
      { service: 'e1iexpress', kind: 'network', inbox: true },
    ],
  },
  'vmware-lsisas': {
    id: 'vmware-lsisas',
    title: 'VMware-like: LSI SAS disks, e1000 network',
    kind: 'virtual',
    diskController: 'lsisas',
    nicModel: 'e1000',
    linuxModules: ['mptsas', 'sd_mod', 'e1000'],
    windowsDrivers: [
      { service: 'lsi_sas', kind: 'storage', inbox: true },
      { service: 'e1iexpress', kind: 'network', inbox: true },
    ],
  },
  'physical-ahci': {
    id: 'physical-ahci',
    title: 'Physical machine: AHCI (SATA) disks, Intel network',
    kind: 'physical',
    diskController: 'sata',
    nicModel: 'e1000e',
    linuxModules: ['ahci', 'sd_mod', 'e1000e'],
    windowsDrivers: [
      { service: 'storahci', kind: 'storage', inbox: true },
      { service: 'e1iexpress', kind: 'network', inbox: true },
    ],
  },
  'physical-nvme': {
    id: 'physical-nvme',
    title: 'Physical machine: NVMe disks, Intel network',
    kind: 'physical',
    diskController: 'nvme',
    nicModel: 'e1000e',
    linuxModules: ['nvme', 'e1000e'],
    windowsDrivers: [
      { service: 'stornvme', kind: 'storage', inbox: true },
      { service: 'e1iexpress', kind: 'network', inbox: true },
    ],
  },
};

/** Ids of the profiles that a hypervisor can build. */
export const virtualProfiles: readonly string[] = Object.values(hardwareProfiles)
  .filter(({ kind }) => kind === 'virtual')
  .map(({ id }) => id);

export interface DiskSpec {
  /** Stable name of the disk within its server: `disk0`, `disk1`, … in the order of the machine's disks. */
  readonly id: DiskId;
  readonly index: number;
  readonly sizeBytes: number;
  readonly controller: DiskController;
  /** The source platform's own name for it (libvirt: target dev, `sda`). */
  readonly sourceDevice: string;
}

export interface NicSpec {
  readonly index: number;
  /** Lower-case, colon-separated. */
  readonly macAddress: string;
  readonly model: NicModel;
  /** Name of the network at the source site. */
  readonly network: string;
}

export interface OperatingSystem {
  readonly family: 'linux' | 'windows' | 'unknown';
  /** `debian`, `ubuntu`, … (os-release ID). */
  readonly distribution?: string;
  readonly version?: string;
  readonly prettyName?: string;
  readonly kernelRelease?: string;
}

export interface Objectives {
  readonly rpoMs: number;
  readonly rtoMs: number;
}

/** A machine under protection; complete, so that a run needs no database to know it. */
export interface ServerSpec {
  readonly id: ServerId;
  readonly name: string;
  readonly tier: number;
  readonly os: OperatingSystem;
  readonly firmware: Firmware;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly disks: readonly DiskSpec[];
  readonly nics: readonly NicSpec[];
  readonly objectives: Objectives;
  readonly source: { readonly siteId: SiteId; readonly machineName: MachineName };
  readonly recoverySiteId: SiteId;
  readonly cadence: Cadence;
  /** What proves from inside the guest that the server's service works. */
  readonly probes: readonly ServiceProbe[];
  /** Keys that open its encrypted volumes; each is tried on each. Never the keys themselves (design: law 8). */
  readonly unlockKeys?: readonly SecretRef[];
  /** Hardware profiles that inoculation is prepared for; without it all that the recovery site declares, empty for none. */
  readonly prepareFor?: readonly string[];
}

export interface Cadence {
  /** Pause from the start of one cycle to the start of the next. */
  readonly pointEveryMs: number;
  /** How often a point is taken with the guest's filesystems frozen; 0: never. */
  readonly freezeEveryMs: number;
  /** Complete points kept before the oldest is merged into the base. */
  readonly keepPoints: number;
}

/** A program run inside the guest through its agent. No shell: an argument list. */
export interface ServiceProbe {
  readonly name: string;
  readonly command: readonly string[];
  readonly expectExitCode: number;
  /** Regular expression that standard output must match. */
  readonly expectOutput?: string;
  readonly timeoutMs: number;
}

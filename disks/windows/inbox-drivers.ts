/** Drivers by the name that hardware profiles use: what Windows calls them, and which devices they are for. */
import type { WindowsVersion } from './version';

export interface KnownDriver {
  /** Names of its service, the usual one first. */
  readonly services: readonly string[];
  /** Devices by which Windows recognises it: checked, and entered in a CriticalDeviceDatabase that lacks them. */
  readonly hardwareIds: readonly string[];
}

/**
 * Facts: PCI class codes (01 06: AHCI, 01 08 02: NVMe) and vendor ids; storahci took over from msahci in Windows 8;
 * VMware's own packages name their services pvscsi or pvscsii, and vmxnet3ndis6.
 */
const known: Readonly<Record<string, KnownDriver>> = {
  storahci: { services: ['storahci'], hardwareIds: [String.raw`PCI\CC_0106`] },
  stornvme: { services: ['stornvme'], hardwareIds: [String.raw`PCI\CC_010802`] },
  lsi_sas: { services: ['LSI_SAS'], hardwareIds: [String.raw`PCI\VEN_1000&DEV_0054`] },
  pvscsi: { services: ['pvscsi', 'pvscsii'], hardwareIds: [String.raw`PCI\VEN_15AD&DEV_07C0`] },
  vmxnet3: { services: ['vmxnet3ndis6', 'vmxnet3'], hardwareIds: [] },
  viostor: {
    services: ['viostor'],
    hardwareIds: [String.raw`PCI\VEN_1AF4&DEV_1001`, String.raw`PCI\VEN_1AF4&DEV_1042`],
  },
  vioscsi: {
    services: ['vioscsi'],
    hardwareIds: [String.raw`PCI\VEN_1AF4&DEV_1004`, String.raw`PCI\VEN_1AF4&DEV_1048`],
  },
};

const ahciBefore8: KnownDriver = { services: ['msahci'], hardwareIds: [String.raw`PCI\CC_0106`] };

/** What is known of the driver on that Windows; a name that is not known stands for itself. */
export function knownDriver(service: string, { major, minor }: WindowsVersion): KnownDriver {
  if (service === 'storahci' && major === 6 && minor < 2) return ahciBefore8;
  return known[service] ?? { services: [service], hardwareIds: [] };
}

/** Class of storage controllers, and of network cards (Microsoft's list of device setup classes). */
export const storageClass = '{4D36E97B-E325-11CE-BFC1-08002BE10318}';

/**
 * A physical machine as its site knows it. It was there before any run: nothing of it is made, only claimed, written and
 * switched.
 */
import type { Firmware, SiteId } from '../../model/server';
import type { SecretRef } from '../../model/secrets';

export interface RedfishPower {
  /** `https://bmc.example`, without a path. */
  readonly url: string;
  readonly systemId: string;
  readonly user: string;
  readonly password: SecretRef;
  /** PEM file of the authority to trust; null: the system's own ones. */
  readonly caFile: string | null;
  /** true: any certificate is taken. */
  readonly insecure: boolean;
}

export type MachinePower =
  | { readonly kind: 'redfish'; readonly redfish: RedfishPower }
  /** What a person has to do. */
  | { readonly kind: 'person'; readonly instructions: string };

export type SerialConsole =
  /** Somebody else writes the file: a terminal server, a hypervisor. */
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'socket'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

export interface MachineDevice {
  readonly index: number;
  /** Block device or raw image file, absolute. */
  readonly device: string;
  /** What the device must say of itself; null: its name alone is trusted. */
  readonly serial: string | null;
}

export interface PhysicalMachine {
  readonly name: string;
  /** Id of its hardware profile. */
  readonly hardware: string;
  readonly firmware: Firmware;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly nics: readonly {
    readonly index: number;
    readonly macAddress: string;
    readonly network: string;
    readonly isolated: boolean;
  }[];
  readonly disks: readonly MachineDevice[];
  readonly power: MachinePower;
  readonly serialConsole: SerialConsole | null;
}

export interface PhysicalOptions {
  readonly id: SiteId;
  /** Claims, records of written disks, consoles; durable and shared by all workers of the site. */
  readonly folder: string;
  readonly machines: readonly PhysicalMachine[];
  readonly secret: (ref: SecretRef) => Promise<Buffer>;
  /** UTC milliseconds. */
  readonly clock: () => number;
  /** Longest wait for one answer of a Redfish service. Default: 15 s. */
  readonly answerTimeoutMs?: number;
  /** Pause between two looks at a power state. Default: 1 s. */
  readonly pollMs?: number;
}

/**
 * What Muster asks of a hypervisor. One conformance suite (test/platforms/conformance.ts) holds every driver to it.
 *
 * For every method:
 * - It may be called twice, one after the other or at the same time, with the same arguments, and has the effect of one
 *   call. What was already so is returned as success.
 * - A machine is Muster's own when its owner tag is the caller's. A machine of the same name with another tag, or none,
 *   is somebody else's: `create`, `remove`, `attachDisk`, `detachDisk` and the power methods then throw OperatorError and
 *   touch nothing. Reads work on any machine.
 * - An unknown machine is OperatorError, except where the method says that absence is what was wanted.
 * - The platform not answering is TransientError; its refusing for good (bad specification, no such network) PermanentError;
 *   storage full, name taken, no permission OperatorError with the remedy.
 * - `options.signal` ends the wait, not the work: after an abort the caller must look before it acts again. The promise
 *   rejects with the signal's reason.
 * - No retry inside: retrying is the step runner's alone.
 */
import type { MachineHolding } from '../model/machine-holding';
import type { DiskController, Firmware, HardwareProfile, DiskId, NicSpec } from '../model/server';
import type { Progress } from '../model/steps';
import type { SurveyItem } from '../model/survey';

export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

/** For platforms of given machines only; the others have nothing that could be overwritten. */
export interface AttachOptions extends CallOptions {
  /** Devices of the machine that may be written although they hold something that Muster did not put there. */
  readonly overwriteDisks?: readonly string[];
}

export const powerStates = ['off', 'on', 'paused', 'crashed'] as const;
export type PowerState = (typeof powerStates)[number];

/** Whose machine it is; written into the platform's own metadata and read back from there. */
export interface Owner {
  readonly tenantId: string;
  readonly runId: string;
}

export interface MachineRef {
  readonly name: string;
  /** The caller's tag; null for machines that are only read (a source). */
  readonly owner: Owner | null;
}

export interface MachineSpec {
  readonly name: string;
  /** The platform's identity of the machine; derived from the run so that a repeated create meets the first. */
  readonly uuid: string;
  readonly owner: Owner;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly firmware: Firmware;
  readonly hardware: HardwareProfile;
  readonly nics: readonly { readonly index: number; readonly macAddress: string; readonly network: string }[];
}

export interface MachineDisk {
  readonly diskId: DiskId;
  readonly index: number;
  readonly path: string;
  readonly format: 'qcow2' | 'raw';
  readonly sizeBytes: number;
}

export interface Machine {
  readonly name: string;
  readonly uuid: string;
  readonly owner: Owner | null;
  readonly power: PowerState;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly firmware: Firmware;
  readonly disks: readonly (Omit<MachineDisk, 'diskId'> & {
    readonly controller: DiskController;
    readonly device: string;
  })[];
  readonly nics: readonly NicSpec[];
  /** How often it was started or reset since it was powered on, where the platform can tell; else null. */
  readonly bootId: string | null;
  /** Only a person can switch this machine: what they have to do. `power` is then their word, not a reading. */
  readonly powerByPerson?: string;
}

/** A network to make or remove; the owner is a rehearsal, or the plan whose servers share it. */
export interface NetworkRef {
  readonly name: string;
  readonly owner: Owner;
}

/** A network that Muster made, as the platform has it now. */
export interface MadeNetwork extends NetworkRef {
  /** Whether machines on it can reach each other. */
  readonly active: boolean;
  /** What leads out of it, in words; none: it is isolated. */
  readonly uplinks: readonly string[];
  /** Every card that is plugged into it, whosever machine it is in. */
  readonly plugged: readonly { readonly machine: string; readonly macAddress: string }[];
}

export interface PlatformHealth {
  readonly kind: PlatformKind;
  readonly version: string;
  readonly acceleration: 'kvm' | 'tcg' | 'none';
  readonly networks: readonly { readonly name: string; readonly isolated: boolean }[];
  readonly memoryFreeBytes: number;
}

export const platformKinds = ['libvirt', 'vsphere', 'simulated', 'physical'] as const;
export type PlatformKind = (typeof platformKinds)[number];

/** What a driver can do beyond the minimum; declared, never found out by an exception. */
export interface Capabilities {
  readonly guestAgent: boolean;
  readonly screenshot: boolean;
  readonly consoleText: boolean;
  /** Can merge a running machine's overlay into what lies beneath it. */
  readonly liveMerge: boolean;
  /** Can make networks without a way out. */
  readonly isolatedNetworks: boolean;
  readonly firmwares: readonly Firmware[];
  readonly hardware: readonly string[];
}

export interface GuestCommand {
  readonly path: string;
  readonly args: readonly string[];
  readonly timeoutMs: number;
  /** All variables that the program gets; absent: those of the agent. May hold secrets: never in an argument list. */
  readonly environment?: Readonly<Record<string, string>>;
}

export interface GuestResult {
  readonly exitCode: number;
  /** At most 64 KiB each; longer output is cut and `truncated` set. */
  readonly stdout: string;
  readonly stderr: string;
  readonly truncated: boolean;
}

/** What was found on a disk that belongs to a machine, before anything is written to it. */
export interface DiskFinding {
  readonly diskId: DiskId;
  readonly ok: boolean;
  readonly found: string;
  readonly needed: string;
}

/**
 * A platform whose machines were there before any run and stay after it, with disks of their own. `create` claims the
 * machine of that name for the run, `remove` gives the claim up, `attachDisk` copies the bytes onto the machine's disk of
 * that index (refused when it holds what Muster did not put there), `detachDisk` makes it unbootable again.
 */
export interface GivenMachines {
  /** Looks at the machine's disks as `attachDisk` will, and changes nothing. */
  examine(
    ref: MachineRef,
    disks: readonly Pick<MachineDisk, 'diskId' | 'index' | 'sizeBytes'>[],
    options?: AttachOptions,
  ): Promise<DiskFinding[]>;
  /** Every machine with what holds it; also claims on machines that are no longer configured. */
  holdings(options?: CallOptions): Promise<MachineHolding[]>;
  /**
   * Gives a run's claim up by the decision of a person, whoever owns the run now; disks stay as they are. Free already:
   * `released` is false. Claimed by another run meanwhile, or on: OperatorError. `switchedOff` is the person's word for a
   * machine that no program can ask. Not for a run that lives: the caller has made sure of that.
   */
  release(
    ref: MachineRef & { readonly owner: Owner },
    word: { readonly switchedOff: boolean },
    options?: CallOptions,
  ): Promise<{ readonly released: boolean }>;
}

export interface Platform {
  readonly id: string;
  readonly kind: PlatformKind;
  readonly capabilities: Capabilities;
  /** Declared by platforms that cannot make machines; absent on hypervisors. */
  readonly given?: GivenMachines;

  /** The platform's own condition. Never cached. */
  health(options?: CallOptions): Promise<PlatformHealth>;
  /** All machines, also other people's; used to find names and leftovers. What needs a look into each may be left to
   * `find`: the sizes of its disks (0) and its boot id (null). */
  list(options?: CallOptions): Promise<Machine[]>;
  /** The machine, or undefined when there is none of that name. */
  find(name: string, options?: CallOptions): Promise<Machine | undefined>;
  /** Defines the machine, powered off, without disks. Already there with the same owner: returned as it is. */
  create(spec: MachineSpec, options?: CallOptions): Promise<Machine>;
  /** Removes the definition and never a disk's file. Powered on: OperatorError. Absent: already so. */
  remove(ref: MachineRef, options?: CallOptions): Promise<void>;
  /** Adds the disk to the definition at its index. The same path there already: already so; another path: OperatorError. */
  attachDisk(ref: MachineRef, disk: MachineDisk, options?: AttachOptions): Promise<void>;
  /** Takes the disk out of the definition of a machine that is off. Absent: already so. The file stays. */
  detachDisk(ref: MachineRef, disk: MachineDisk, options?: CallOptions): Promise<void>;
  /** Makes the platform's storage inventory know the disk; returns what the platform itself reads from it. */
  registerDisk(
    ref: MachineRef,
    disk: MachineDisk,
    options?: CallOptions,
  ): Promise<{ sizeBytes: number; format: string }>;
  /** Forgets what registerDisk made known. Absent: already so. The file stays. */
  unregisterDisk(ref: MachineRef, disk: MachineDisk, options?: CallOptions): Promise<void>;
  /** `on`: starts it. `off`: pulls the plug. `shutdown`: asks the guest and waits until it is off (TransientError at the deadline). */
  power(
    ref: MachineRef,
    action: 'on' | 'off' | 'shutdown',
    options?: CallOptions & { deadlineMs?: number },
  ): Promise<void>;
  /**
   * Runs a program in the guest through its agent; TransientError while the agent does not answer. A program that is not done
   * in its time is ended with what it started, and so it is by an abort, as far as the agent answers: TransientError, with
   * what it printed as its detail.
   */
  runInGuest(name: string, command: GuestCommand, options?: CallOptions): Promise<GuestResult>;
  /** What the machine shows: a PNG, and its serial console's last 64 KiB (printable text, escapes removed). */
  look(name: string, options?: CallOptions): Promise<{ png: Buffer | null; consoleText: string | null }>;
  /** Merges the running or stopped machine's disk down to `basePath`, which it then stands on. Already on it: already so. */
  mergeDisk(ref: MachineRef, disk: MachineDisk, basePath: string, options?: CallOptions): Promise<void>;

  /** The networks that Muster made, read anew; of other people's none. */
  networks(options?: CallOptions): Promise<MadeNetwork[]>;
  /**
   * Makes a network that leads nowhere, and switches it on; machines of the same tenant may be plugged into it by its name.
   * Already there with the same owner: on afterwards. The name taken, also by one of the configuration: OperatorError.
   * Without the capability: PermanentError.
   */
  createNetwork(ref: NetworkRef, options?: CallOptions): Promise<void>;
  /** Absent: already so. A machine still plugged into it, or another owner's: OperatorError. */
  removeNetwork(ref: NetworkRef, options?: CallOptions): Promise<void>;
  /** Everything of the platform's own that a run could leave behind, whosever it is: compared before and after rehearsals. */
  inventory(options?: CallOptions): Promise<SurveyItem[]>;
}

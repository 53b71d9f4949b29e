/**
 * Edits to disks that no machine runs on: signatures and inoculation. Works on a disk that the target server exports
 * (NBD over a UNIX socket) or on a file. Guest disks are hostile: never mounted by the host's kernel, only inside the
 * libguestfs appliance, and every program runs with a time limit.
 *
 * Every method may be repeated; a second inoculation changes no byte. Errors as in model/errors.ts.
 */
import type { CallOptions } from '../platforms/contract';
import type { TakenDisk } from '../model/replica';
import type { IpSettings } from '../model/runbook/runbook';
import type { HardwareProfile, NicSpec, OperatingSystem } from '../model/server';

export interface VolumeFound {
  readonly partition: number;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  /** blkid's TYPE; null where nothing is recognised. */
  readonly type: string | null;
}

export interface InoculationReport {
  readonly inoculator: string;
  readonly operatingSystem: string;
  readonly kernels: readonly {
    readonly release: string;
    readonly how: 'archive-appended' | 'regenerated' | 'already-fit';
    readonly modulesAdded: readonly string[];
  }[];
  /** Files changed, with what was done: `/etc/fstab: /dev/sda2 -> UUID=…`. */
  readonly changes: readonly string[];
  /** What was read back and found right, in words for the record. */
  readonly verified: readonly string[];
  /** What may still need a person after the boot: a network name that could not be pinned, a kernel left as it was. */
  readonly warnings?: readonly string[];
  readonly prepared?: PreparedUse;
}

/** Whether what was prepared ahead was used, and why or why not, in words for the record. */
export interface PreparedUse {
  readonly used: boolean;
  readonly because: string;
  readonly preparedAt: string | null;
}

/**
 * What an inoculation for one hardware profile will write, worked out on a recovery point before there is a disaster.
 * Made by `prepareInoculation`, given back to `inoculate`, which uses it only when the disks still hold exactly what it was made from.
 */
export interface Preparation {
  readonly hardwareId: string;
  /** Plain JSON for the disk toolkit alone. */
  readonly record: unknown;
  /** Its files, by their names in `folder`. */
  readonly files: readonly { readonly name: string; readonly sizeBytes: number; readonly sha256: string }[];
  readonly folder: string;
  /** What it depends on, as a look into the running system shows it: another size or time means that it is outdated. */
  readonly watch: readonly WatchedPath[];
}

export interface WatchedPath {
  readonly path: string;
  readonly is: 'file' | 'folder' | 'other' | 'absent';
  readonly sizeBytes: number;
  /** Whole seconds since 1970; 0 where there is nothing. */
  readonly modifiedSeconds: number;
}

export type KeptPreparation = Preparation & { readonly preparedAt: string };

/** Never with addresses: those are of one order. */
export interface PrepareOptions extends Omit<InoculateOptions, 'prepared' | 'addresses'> {
  /** An empty folder for the files of what is prepared. */
  readonly folder: string;
  /** What is kept already: only looked at where it still fits. */
  readonly kept?: readonly Preparation[];
}

export type PrepareResult = { readonly hardwareId: string } & (
  | { readonly prepared: Preparation }
  | { readonly stillFits: true; readonly watch: readonly WatchedPath[] }
  /** It cannot be prepared; the inoculation itself will go the ordinary way, or say the same. */
  | { readonly because: string }
);

/** What was done to a Windows registry. */
export interface RegistryReport {
  readonly operatingSystem: string;
  /** The control sets that Windows may boot with, the current one first. */
  readonly controlSets: readonly string[];
  /** `ControlSet001\Services\viostor: Start = 0`; empty where everything was in place. */
  readonly changes: readonly string[];
  readonly verified: readonly string[];
  readonly warnings: readonly string[];
}

export interface CardAddress extends IpSettings {
  readonly macAddress: string;
}

export interface InoculateOptions extends CallOptions {
  /** The server's NICs, whose MAC addresses the recovered machine keeps: with them each network name finds its card. */
  readonly nics?: readonly NicSpec[];
  /** New addresses of cards, by the MAC address that the recovered machine has; Linux only. */
  readonly addresses?: readonly CardAddress[];
  /** Keys of encrypted volumes, each tried on each; secrets, so in memory only. */
  readonly unlockKeys?: readonly Uint8Array[];
  /** The one that chooseInoculator named. Default: the built-in one. */
  readonly inoculator?: string;
  /** What was prepared for this hardware, or why nothing was. */
  readonly prepared?: KeptPreparation | { readonly because: string };
}

export type InoculatorChoice = { readonly inoculator: string } | { readonly because: string };

export interface DiskEditor {
  /** Volumes on the disk and what blkid says of each, by offset. */
  volumes(disk: TakenDisk, options?: CallOptions): Promise<VolumeFound[]>;
  /** Writes the pieces back into the overlay; verified with blkid on every volume before it returns. */
  applySignatures(disk: TakenDisk, options?: CallOptions): Promise<VolumeFound[]>;
  /** Undo: takes them out of the overlay again. */
  removeSignatures(disk: TakenDisk, options?: CallOptions): Promise<void>;
  /** Which inoculator fits this system and hardware, or why none does. Pure knowledge: touches no disk. */
  chooseInoculator(os: OperatingSystem, hardware: HardwareProfile): InoculatorChoice;
  /**
   * Works out ahead what `inoculate` will have to write for each hardware profile, on disks that stand on a recovery
   * point. Changes nothing on them; runs at low priority. One result per profile, in order.
   * @throws OperatorError when no operating system is found that is inoculated here.
   */
  prepareInoculation(
    disks: readonly TakenDisk[],
    hardware: readonly HardwareProfile[],
    options: PrepareOptions,
  ): Promise<PrepareResult[]>;
  /**
   * Gives the operating system on these disks the drivers and settings of `hardware`; `disks` are all of the server's
   * disks (a volume group may span them), in order. Read back and verified before it returns. Disks without an operating
   * system are left alone; none with one: OperatorError.
   */
  inoculate(
    disks: readonly TakenDisk[],
    hardware: HardwareProfile,
    options?: InoculateOptions,
  ): Promise<InoculationReport>;
  /**
   * Windows only: makes it start the drivers of `hardware` in every control set that it may boot with, and compares its
   * drive letters with the disks. After `inoculate`, which brings the drivers' files; read back and verified as there.
   * No Windows on the disks, a volume that it has not closed, a driver that is nowhere: OperatorError.
   */
  updateRegistry(
    disks: readonly TakenDisk[],
    hardware: HardwareProfile,
    options?: CallOptions,
  ): Promise<RegistryReport>;
}

/** The disk toolkit: edits to disks that no machine runs on. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PermanentError } from '../model/errors';
import type { TakenDisk } from '../model/replica';
import type { HardwareProfile } from '../model/server';
import type { CallOptions } from '../platforms/contract';
import type {
  DiskEditor,
  InoculateOptions,
  InoculationReport,
  PrepareOptions,
  PrepareResult,
  RegistryReport,
  VolumeFound,
} from './contract';
import { driveArguments, imageOf } from './disk-address';
import { startGuestfish, type Guestfish } from './guestfish';
import { chooseInoculator } from './linux/choose';
import { inoculateLinux } from './linux/inoculate';
import { prepareLinux } from './linux/prepare';
import { listVolumes } from './linux/volumes';
import { noAddressesFor } from './no-addresses';
import { refuseDamaged } from './refuse-damaged';
import { applyVerified, removeVerified } from './signature-edits';
import { findVolumes } from './signatures';
import { inoculateIfWindows, updateRegistryOf } from './windows/on-disks';
import { inoculateByV2v, v2vName } from './v2v';
import { lookAfterV2v } from './v2v-look';

export interface DiskEditorSettings {
  /** For copies of initramfs files and the like; a folder per call is made in it and removed. */
  readonly scratchFolder: string;
  /** false where KVM was seen to work. Default: the appliance is emulated, which works everywhere. */
  readonly emulate?: boolean;
  /** Drivers that do not come with Windows (docs/windows.md). Default: none. */
  readonly driverFolder?: string | undefined;
}

/** Without KVM the appliance starts in 13 to 20 s; a busy host takes a multiple of that. */
const startTimeoutMs = 5 * 60_000;

/** Builds the toolkit. Stateless: every call starts and ends what it needs. */
export function createDiskEditor(settings: DiskEditorSettings): DiskEditor {
  return {
    volumes: async (disk, options) => {
      const volumes = await findVolumes(imageOf(disk), options);
      return volumes.map(({ pieces: _pieces, ...volume }): VolumeFound => volume);
    },
    applySignatures: applyVerified,
    removeSignatures: removeVerified,
    chooseInoculator,
    prepareInoculation: (disks, hardware, options) => prepare(settings, disks, hardware, options),
    inoculate: (disks, hardware, options) => inoculate(settings, disks, hardware, options),
    updateRegistry: (disks, hardware, options) => updateRegistry(settings, disks, hardware, options),
  };
}

async function prepare(
  settings: DiskEditorSettings,
  disks: readonly TakenDisk[],
  hardware: readonly HardwareProfile[],
  options: PrepareOptions,
): Promise<PrepareResult[]> {
  return withAppliance(settings, disks, { ...options, background: true }, (guest, scratch) =>
    prepareLinux({ guest, diskCount: disks.length, hardware, scratch, options }),
  );
}

async function inoculate(
  settings: DiskEditorSettings,
  disks: readonly TakenDisk[],
  hardware: HardwareProfile,
  options: InoculateOptions = {},
): Promise<InoculationReport> {
  const stage = stageReporter(options);
  await refuseDamaged(disks, options);
  if (options.inoculator === v2vName && (options.addresses ?? []).length > 0)
    throw noAddressesFor('a system that virt-v2v converts');
  if (options.inoculator === v2vName) return convertByV2v(settings, disks, hardware, options);
  stage('starting the appliance', 0);
  const report = await withAppliance(settings, disks, options, async (guest, scratch) => {
    const { signal } = options;
    const driverFolder = settings.driverFolder ?? null;
    stage('looking for the operating system', 50);
    const volumes = await listVolumes(guest, options.unlockKeys);
    const done =
      (await inoculateIfWindows(
        { guest, hardware, driverFolder, scratch, stage, signal },
        volumes,
        options.addresses,
      )) ?? (await inoculateLinux({ guest, diskCount: disks.length, volumes, hardware, scratch, stage, options }));
    stage('closing the disks', 97);
    return done;
  });
  stage('done', 100);
  return report;
}

async function convertByV2v(
  settings: DiskEditorSettings,
  disks: readonly TakenDisk[],
  hardware: HardwareProfile,
  options: InoculateOptions,
): Promise<InoculationReport> {
  await mkdir(settings.scratchFolder, { recursive: true, mode: 0o700 });
  const scratch = await mkdtemp(join(settings.scratchFolder, 'v2v-'));
  const look = (converted: readonly TakenDisk[]) =>
    withAppliance(settings, converted, options, (guest, folder) => lookAfterV2v(guest, hardware, folder, options));
  try {
    const emulate = settings.emulate ?? true;
    return await inoculateByV2v({ disks, hardware, scratch, emulate, stage: stageReporter(options), options, look });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function updateRegistry(
  settings: DiskEditorSettings,
  disks: readonly TakenDisk[],
  hardware: HardwareProfile,
  options: CallOptions = {},
): Promise<RegistryReport> {
  const stage = stageReporter(options);
  await refuseDamaged(disks, options);
  stage('starting the appliance', 0);
  const driverFolder = settings.driverFolder ?? null;
  const report = await withAppliance(settings, disks, options, (guest, scratch) =>
    updateRegistryOf({ guest, hardware, driverFolder, scratch, stage, signal: options.signal }),
  );
  stage('done', 100);
  return report;
}

/** Starts an appliance with the disks in order and ends it: in order after the work, at once after an error. */
async function withAppliance<T>(
  settings: DiskEditorSettings,
  disks: readonly TakenDisk[],
  options: Pick<InoculateOptions, 'signal' | 'unlockKeys'> & { background?: boolean },
  work: (guest: Guestfish, scratch: string) => Promise<T>,
): Promise<T> {
  if (disks.length === 0) throw new PermanentError('inoculation was asked for without a disk');
  await mkdir(settings.scratchFolder, { recursive: true, mode: 0o700 });
  const scratch = await mkdtemp(join(settings.scratchFolder, 'inoculate-'));
  const guest = startGuestfish({
    signal: options.signal,
    temporaryFolder: scratch,
    background: options.background ?? false,
    ...(options.unlockKeys === undefined || options.unlockKeys.length === 0 ? {} : { memoryMiB: 2048 }),
    ...(settings.emulate === undefined ? {} : { emulate: settings.emulate }),
  });
  try {
    for (const disk of [...disks].sort((a, b) => a.index - b.index)) await guest.ask('add-drive', driveArguments(disk));
    await guest.ask('run', [], startTimeoutMs);
    const result = await work(guest, join(scratch, 'guest'));
    await guest.close();
    return result;
  } catch (error) {
    await guest.kill();
    // Whichever program was ended by it: the caller is told its own reason.
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function stageReporter(options: CallOptions): (label: string, done: number) => void {
  return (label, done) =>
    options.onProgress?.({ label, done, total: 100, unit: 'percent', ratePerSecond: null, timeLeftMs: null });
}

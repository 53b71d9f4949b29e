/** The DiskEditor of a simulated site: the real bytes of disk-bytes.ts, edited while the target server holds the disk. */
import { basename, dirname } from 'node:path';
import { OperatorError } from '../../model/errors';
import type { TakenDisk } from '../../model/replica';
import { hardwareProfiles, type HardwareProfile, type OperatingSystem } from '../../model/server';
import type {
  DiskEditor,
  InoculateOptions,
  InoculationReport,
  InoculatorChoice,
  PrepareOptions,
  PrepareResult,
  PreparedUse,
  RegistryReport,
  VolumeFound,
} from '../../disks/contract';
import type { CallOptions } from '../contract';
import { readOs, readPartitions, writeOs, writePieces, type OsArea } from './disk-bytes';
import { logEffects, newEffect } from './effects';
import { holderOf, inUse } from './holds';
import { updateRegistryNote } from './registry';
import { pause, reach, readSettings, type Site } from './site';

export function simulatedDiskEditor(site: Site): DiskEditor {
  return {
    volumes: (disk, options) => volumes(site, disk, options),
    applySignatures: (disk, options) => applySignatures(site, disk, options),
    removeSignatures: (disk, options) => removeSignatures(site, disk, options),
    chooseInoculator,
    prepareInoculation: (disks, hardware, options) => prepare(site, disks, hardware, options),
    inoculate: (disks, hardware, options) => inoculate(site, disks, hardware, options),
    updateRegistry: (disks, hardware, options) => updateRegistry(site, disks, hardware, options),
  };
}

async function volumes(site: Site, disk: TakenDisk, options?: CallOptions): Promise<VolumeFound[]> {
  await reach(site, options);
  return readPartitions(disk.path);
}

async function applySignatures(site: Site, disk: TakenDisk, options?: CallOptions): Promise<VolumeFound[]> {
  await setSignatures(site, disk, true, options);
  const found = await readPartitions(disk.path);
  const missing = disk.signatures.filter(
    (signature) => found.find((volume) => volume.partition === signature.partition)?.type !== signature.type,
  );
  if (missing.length === 0) return found;
  throw new OperatorError({
    what: `the signature of ${disk.diskId} is not recognised`,
    found: JSON.stringify(found),
    needed: missing.map((signature) => `partition ${signature.partition} as ${signature.type}`).join(', '),
    remedy: 'The point may be damaged: choose an older one (provide point).',
  });
}

async function removeSignatures(site: Site, disk: TakenDisk, options?: CallOptions): Promise<void> {
  await setSignatures(site, disk, false, options);
}

async function setSignatures(site: Site, disk: TakenDisk, present: boolean, options?: CallOptions): Promise<void> {
  await reach(site, options);
  await requireEditable(disk);
  let changed = false;
  for (const signature of disk.signatures) {
    changed = (await writePieces(disk.path, signature.pieces, present)) || changed;
  }
  if (changed) await log(site, present ? 'apply-signatures' : 'remove-signatures', disk);
}

const inoculator = 'linux-initramfs-tools';

export function chooseInoculator(os: OperatingSystem, hardware: HardwareProfile): InoculatorChoice {
  if (!(hardware.id in hardwareProfiles)) return { because: `hardware profile ${hardware.id} is not known` };
  if (os.family === 'windows') return { inoculator: 'windows-drivers' };
  if (os.family !== 'linux') return { because: `no inoculator for ${os.family} is known to a simulated site` };
  return { inoculator };
}

async function inoculate(
  site: Site,
  disks: readonly TakenDisk[],
  hardware: HardwareProfile,
  options: InoculateOptions = {},
): Promise<InoculationReport> {
  await reach(site, options);
  const systems: { disk: TakenDisk; os: OsArea }[] = [];
  for (const disk of disks) {
    await requireEditable(disk);
    const recognised = (await readPartitions(disk.path)).some((volume) => volume.type !== null);
    const os = recognised ? await readOs(disk.path) : null;
    if (os) systems.push({ disk, os });
  }
  if (systems.length === 0) throw noSystem(disks);
  const use = useOf(options.prepared, systems);
  if (!use.used) await workFor(site, options);
  const kernels: InoculationReport['kernels'][number][] = [];
  for (const { disk, os } of systems) kernels.push(await addDrivers(site, disk, os, hardware));
  const first = systems[0]!.os;
  return {
    inoculator,
    operatingSystem: first.distribution,
    kernels,
    changes: kernels.flatMap((kernel) =>
      kernel.modulesAdded.map((module) => `initramfs ${kernel.release}: + ${module}`),
    ),
    verified: kernels.map(
      (kernel) => `initramfs ${kernel.release} read back: ${hardware.linuxModules.join(', ')} present`,
    ),
    prepared: use,
  };
}

async function updateRegistry(
  site: Site,
  disks: readonly TakenDisk[],
  hardware: HardwareProfile,
  options: CallOptions = {},
): Promise<RegistryReport> {
  await reach(site, options);
  for (const disk of disks) await requireEditable(disk);
  return updateRegistryNote(disks, hardware, (disk) => log(site, 'update-registry', disk));
}

/** What a simulated preparation was made from: each system's kernel and drivers. */
const basisOf = (systems: readonly { os: OsArea }[]) =>
  JSON.stringify(systems.map(({ os }) => [os.kernelRelease, os.drivers]));

function useOf(prepared: InoculateOptions['prepared'], systems: readonly { os: OsArea }[]): PreparedUse {
  if (prepared === undefined || 'because' in prepared) {
    return { used: false, because: prepared?.because ?? 'nothing was prepared', preparedAt: null };
  }
  const used = prepared.record === basisOf(systems);
  const because = used ? 'the disks hold what it was made from' : 'the system has changed since';
  return { used, because, preparedAt: prepared.preparedAt };
}

async function prepare(
  site: Site,
  disks: readonly TakenDisk[],
  hardware: readonly HardwareProfile[],
  options: PrepareOptions,
): Promise<PrepareResult[]> {
  await reach(site, options);
  const systems: { os: OsArea }[] = [];
  for (const disk of disks) {
    const os = await readOs(disk.path);
    if (os) systems.push({ os });
  }
  if (systems.length === 0) throw noSystem(disks);
  await workFor(site, options);
  const record = basisOf(systems);
  return hardware.map(({ id: hardwareId }) => {
    const kept = options.kept?.find((one) => one.hardwareId === hardwareId);
    if (kept?.record === record) return { hardwareId, stillFits: true, watch: [] };
    return { hardwareId, prepared: { hardwareId, record, files: [], folder: options.folder, watch: [] } };
  });
}

async function addDrivers(site: Site, disk: TakenDisk, os: OsArea, hardware: HardwareProfile) {
  const modulesAdded = hardware.linuxModules.filter((module) => !os.drivers.includes(module));
  if (modulesAdded.length === 0) return { release: os.kernelRelease, how: 'already-fit' as const, modulesAdded };
  await writeOs(disk.path, { ...os, drivers: [...os.drivers, ...modulesAdded] });
  await log(site, 'inoculate', disk);
  const back = await readOs(disk.path);
  const lost = hardware.linuxModules.filter((module) => !back?.drivers.includes(module));
  if (lost.length > 0) {
    throw new OperatorError({
      what: `${disk.diskId} is not fit for ${hardware.title}`,
      found: `${lost.join(', ')} not there when read back`,
      needed: hardware.linuxModules.join(', '),
      remedy: 'Retry; if it stays so, choose an older point (provide point).',
    });
  }
  return { release: os.kernelRelease, how: 'archive-appended' as const, modulesAdded };
}

/** The time that inoculation takes, with progress in between. */
async function workFor(site: Site, options: CallOptions): Promise<void> {
  const { inoculateMs } = await readSettings(site);
  const slices = inoculateMs > 0 ? 20 : 0;
  for (let done = 0; done < slices; done++) {
    options.onProgress?.({
      label: 'inoculate',
      ...{ done: done * 5, total: 100, unit: 'percent' },
      ratePerSecond: 100_000 / inoculateMs,
      timeLeftMs: inoculateMs * (1 - done / slices),
    });
    await pause(inoculateMs / slices, options.signal);
  }
}

/** Edits go through the target server; a disk that a machine runs on is not touched. */
async function requireEditable(disk: TakenDisk): Promise<void> {
  const holder = await holderOf(disk.path);
  if (holder?.startsWith('machine:')) throw inUse(disk.path, holder);
}

function noSystem(disks: readonly TakenDisk[]): OperatorError {
  return new OperatorError({
    what: 'no operating system is found on the disks',
    found: disks.map((disk) => disk.diskId).join(', ') || 'no disks',
    needed: 'a recognised volume with an operating system',
    remedy: 'Look whether the signatures are in (step apply-signature) and whether all disks were taken.',
  });
}

async function log(site: Site, what: string, disk: TakenDisk): Promise<void> {
  // A taken disk carries no run id of its own; its overlay's folder is named after it.
  await logEffects(site, [
    newEffect(site, `disks.${what}`, disk.path, { disk: disk.diskId, runId: basename(dirname(disk.path)) }),
  ]);
}

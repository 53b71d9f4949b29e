/**
 * Inoculation of a Windows guest, first half: the files of drivers.
 *
 *   look (mounted for reading) ── all there ──> report
 *     └─ something lacks ──> copy ──> look again: nothing may lack ──> report
 *
 * The second half is update-registry (update-registry.ts), which tells Windows to start them.
 */
import { PermanentError } from '../../model/errors';
import type { HardwareProfile } from '../../model/server';
import type { InoculationReport } from '../contract';
import type { Guestfish } from '../guestfish';
import { copyFiles, filesOf, lackingFiles } from './copy-drivers';
import { planDrivers, type DriverPlan } from './drivers';
import type { WindowsSystem } from './find-windows';
import { whileReading, whileWriting } from './mounting';
import { readFacts, withHive } from './system-facts';
import { probeVolume, refuseUnclean } from './volume-state';

export interface WindowsRequest {
  /** Started, with the server's disks added in order; nothing is mounted. */
  readonly guest: Guestfish;
  readonly system: WindowsSystem;
  readonly hardware: HardwareProfile;
  /** Drivers that do not come with Windows; null: the site has no such folder. */
  readonly driverFolder: string | null;
  /** An empty folder. */
  readonly scratch: string;
  /** `done` is a percentage of what is expected in all. */
  readonly stage: (label: string, done: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Told in every report: nothing that can be written to a disk changes it. */
const addressWarning =
  'Windows keeps a fixed IP address with the old network card: after the boot the new card asks for one by DHCP until it is set.';

/**
 * ntfs-3g gives new files to everybody: tried with its options `permissions` and `inherit`, with and without a user
 * mapping, in the appliance of libguestfs 1.48; the rights were the same each time (ntfssecaudit).
 */
const rightsWarning = (paths: readonly string[]): string => {
  const names = paths.map((path) => `C:${path.replaceAll('/', '\\')}`);
  return `Everybody who is logged on may change the copied driver files until their rights are reset: icacls <file> /reset for ${names.join(', ')}.`;
};

/**
 * Copies the driver files that `hardware` needs.
 *
 * @throws OperatorError when the volume may not be written to, its hives cannot be read or a driver lacks; PermanentError
 * when what was written does not read back.
 */
export async function inoculateWindows(request: WindowsRequest): Promise<InoculationReport> {
  const { guest, system, stage } = request;
  stage('looking at Windows and its registry', 55);
  const probe = await probeVolume(guest, system);
  const { state, facts, plans, files, before } = await whileReading(guest, system, () => look(request, probe));
  if (before.length > 0) {
    stage('copying drivers', 75);
    await whileWriting(guest, system, () => copyFiles(guest, before, request.scratch));
    stage('reading back what was written', 90);
    await guest.ask('drop-caches', ['3']);
    const after = await whileReading(guest, system, () => lackingFiles(guest, files));
    if (after.length > 0) throw notThere(after.map(({ path }) => path));
  }
  return {
    inoculator: 'windows-drivers',
    operatingSystem: facts.title,
    kernels: [],
    changes: before.map(({ path }) => `${path}: copied`),
    verified: [
      ...state.verified,
      ...plans.map(describePlan),
      ...files.map(({ path, sha256 }) => `${path} reads back with sha256 ${sha256}`),
    ],
    warnings: [addressWarning, ...(files.length > 0 ? [rightsWarning(files.map(({ path }) => path))] : [])],
  };
}

async function look(request: WindowsRequest, probe: number) {
  const { guest, system } = request;
  const state = await refuseUnclean(guest, system, probe);
  const facts = await readFacts(guest, system);
  const plans = await withHive(guest, system.systemHive, (hive) => planDrivers({ ...request, facts }, hive));
  const files = filesOf(plans, system);
  return { state, facts, plans, files, before: await lackingFiles(guest, files) };
}

function describePlan(plan: DriverPlan): string {
  switch (plan.how) {
    case 'in-windows':
      return `${plan.service}: Windows has it`;
    case 'package':
      return `${plan.driver.service}: from ${plan.driver.folder}, version ${plan.driver.version ?? 'unknown'}`;
    case 'plug-and-play':
      return `${plan.service}: comes with Windows and is found by plug and play`;
  }
}

const notThere = (paths: readonly string[]) =>
  new PermanentError({
    what: 'the driver files do not read back',
    found: paths.join('; '),
    needed: 'the bytes of the driver folder',
    remedy: 'Decide "retry" once; if it stays, look at the overlay with guestfish.',
  });

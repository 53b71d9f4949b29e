/** Which drivers of a hardware profile a Windows has, and where the others come from. */
import { OperatorError } from '../../model/errors';
import type { HardwareProfile, WindowsDriver } from '../../model/server';
import type { Guestfish } from '../guestfish';
import { findDriver, wantedFolders, type DriverPackage } from './driver-folder';
import { realPath, type WindowsSystem } from './find-windows';
import type { Hive } from './hive';
import { knownDriver, type KnownDriver } from './inbox-drivers';
import { asText } from './registry-values';
import type { WindowsFacts } from './system-facts';
import { describeVersion } from './version';
import { serviceKey } from './wanted-registry';

export type DriverPlan = { readonly kind: WindowsDriver['kind'] } & (
  | { readonly how: 'in-windows'; readonly service: string; readonly known: KnownDriver }
  | { readonly how: 'package'; readonly driver: DriverPackage }
  /** A network driver that comes with Windows: plug and play finds it, nothing has to be there before the boot. */
  | { readonly how: 'plug-and-play'; readonly service: string }
);

export interface DriverQuestion {
  readonly guest: Guestfish;
  readonly system: WindowsSystem;
  readonly facts: WindowsFacts;
  readonly hardware: HardwareProfile;
  /** Null: the site has none. */
  readonly driverFolder: string | null;
}

/** Folder in the guest that keeps the packages, for plug and play. */
export const packageFolder = (system: WindowsSystem): string => `${system.folder}/Drivers/Muster`;

/** One plan per driver of the profile; the SYSTEM hive is open, the volume mounted. @throws OperatorError naming the driver that lacks. */
export async function planDrivers(question: DriverQuestion, hive: Hive): Promise<DriverPlan[]> {
  if (question.hardware.windowsDrivers.length === 0) throw noProfile(question.hardware);
  const plans: DriverPlan[] = [];
  for (const driver of question.hardware.windowsDrivers) plans.push(await planDriver(driver, question, hive));
  return plans;
}

async function planDriver(wanted: WindowsDriver, question: DriverQuestion, hive: Hive): Promise<DriverPlan> {
  const { kind, service } = wanted;
  if (wanted.inbox && kind === 'network') return { kind, how: 'plug-and-play', service };
  const { facts, driverFolder } = question;
  const known = knownDriver(service, facts.version);
  const found = wanted.inbox || driverFolder === null ? null : await findDriver(driverFolder, service, facts.version);
  const fitting = found === null || 'because' in found ? null : found;
  // What Muster put there itself is compared with the folder again; what somebody installed is left as it is.
  if (fitting !== null && (await isOurs(question, fitting))) return { kind, how: 'package', driver: fitting };
  const installed = await installedService(question, hive, known);
  if (installed !== null) return { kind, how: 'in-windows', service: installed, known };
  if (fitting !== null) return { kind, how: 'package', driver: fitting };
  throw wanted.inbox
    ? notInWindows(question, known)
    : lacksDriver(question, service, found !== null && 'because' in found ? found.because : null);
}

const isOurs = async ({ guest, system }: DriverQuestion, driver: DriverPackage): Promise<boolean> =>
  (await realPath(guest, `${packageFolder(system)}/${driver.infName}`)) !== null;

/** The service's name where Windows has its key and its program. */
async function installedService(
  { guest, system, facts }: DriverQuestion,
  hive: Hive,
  known: KnownDriver,
): Promise<string | null> {
  for (const service of known.services) {
    const key = serviceKey(facts.controlSets[0]!, service);
    if (!(await hive.has(key))) continue;
    const image = asText(await hive.value(key, 'ImagePath')) ?? `${service}.sys`;
    const program = image.split(/[\\/]/).at(-1)!;
    if (/^[A-Za-z0-9_.-]{1,64}$/.test(program) && (await realPath(guest, `${system.drivers}/${program}`)) !== null) {
      return service;
    }
  }
  return null;
}

function lacksDriver({ facts, driverFolder, hardware }: DriverQuestion, service: string, because: string | null) {
  return new OperatorError({
    what: `there is no driver ${service} for ${facts.title}, ${facts.version.architecture}`,
    found: driverFolder === null ? 'no driver folder at this site' : `in ${driverFolder}: ${because}`,
    needed: `${service} for ${describeVersion(facts.version)}, which ${hardware.title} cannot be driven without`,
    remedy:
      driverFolder === null
        ? 'Name a folder with drivers (virtio-win’s, or VMware’s) as "drivers" of the site in the configuration (docs/windows.md), restart the worker, then retry. Or install the driver at the source, or choose hardware that Windows knows by itself (pc-ahci).'
        : `Put the driver’s .inf, .sys and .cat into ${driverFolder}/${service}/ under ${wantedFolders(facts.version)} (docs/windows.md), then retry. Or choose hardware that Windows knows by itself (pc-ahci).`,
  });
}

function notInWindows({ facts, hardware }: DriverQuestion, known: KnownDriver) {
  return new OperatorError({
    what: `${facts.title} does not have the driver of ${hardware.title}`,
    found: `no service ${known.services.join(' or ')} with its program`,
    needed: `${known.services[0]}, which comes with the versions of Windows that know this hardware`,
    remedy: 'Choose other hardware for this server (another hardware profile), or install the driver at the source.',
  });
}

const noProfile = (hardware: HardwareProfile) =>
  new OperatorError({
    what: `hardware profile ${hardware.id} names no Windows drivers`,
    needed: 'a profile that says what Windows needs',
    remedy: 'Choose another hardware profile, or skip this step if Windows has the drivers.',
  });

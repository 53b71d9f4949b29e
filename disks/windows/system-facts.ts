/** What the hives say of a Windows: its version, its control sets, and whether they may be edited. */
import { OperatorError } from '../../model/errors';
import type { Guestfish } from '../guestfish';
import { printable } from '../guestfish-words';
import { hiveHeaderBytes, hiveProblem, needsItsLogs } from './hive-header';
import { openHive, type Hive } from './hive';
import type { WindowsSystem } from './find-windows';
import { asNumber, asText } from './registry-values';
import { readVersion, type WindowsVersion } from './version';

export interface WindowsFacts {
  readonly version: WindowsVersion;
  /** ProductName and numbers, printable. */
  readonly title: string;
  /** `ControlSet001`, … : the ones that Windows may start with. */
  readonly controlSets: readonly string[];
  /** The letter that Windows was installed with. */
  readonly systemLetter: string;
  readonly hasDatabase: boolean;
}

/** The mounted system's facts. @throws OperatorError naming the hive when one cannot be read or edited. */
export async function readFacts(guest: Guestfish, system: WindowsSystem): Promise<WindowsFacts> {
  await refuseBadHive(guest, system.systemHive);
  await refuseBadHive(guest, system.softwareHive);
  const fromSystem = await withHive(guest, system.systemHive, readSystemHive);
  const software = await withHive(guest, system.softwareHive, readSoftware);
  const version = readVersion({ ...software, processor: fromSystem.processor });
  if (version === null) throw unknownVersion(system.softwareHive, { ...software, processor: fromSystem.processor });
  return {
    version,
    title: `${printable(version.productName)} (${version.major}.${version.minor} build ${version.build})`,
    controlSets: fromSystem.controlSets,
    systemLetter: /^([A-Z]):/i.exec(software.systemRoot ?? '')?.[1]?.toUpperCase() ?? 'C',
    hasDatabase: fromSystem.hasDatabase,
  };
}

/** Opens a hive, uses it and closes it. @throws OperatorError with hivex's words where it is not one. */
export async function withHive<T>(guest: Guestfish, path: string, use: (hive: Hive) => Promise<T>): Promise<T> {
  const hive = await openHive(guest, path);
  if ('error' in hive) throw badHive(path, hive.error);
  let result: T;
  try {
    result = await use(hive);
  } catch (error) {
    await hive.close().catch(() => undefined);
    throw error;
  }
  await hive.close();
  return result;
}

async function refuseBadHive(guest: Guestfish, path: string): Promise<void> {
  const sizeBytes = Number((await guest.ask('filesize', [path])).trim());
  const header = await guest.bytes('pread', [path, String(hiveHeaderBytes), '0']);
  const problem = hiveProblem(header, sizeBytes);
  if (problem === null) return;
  if (!needsItsLogs(header)) throw badHive(path, problem);
  throw new OperatorError({
    what: `the registry file ${printable(path)} is not complete by itself`,
    found: problem,
    needed: 'a registry that Windows has closed; Muster does not apply transaction logs',
    remedy:
      'Choose a point taken after a full shutdown of the source (shutdown /s /f /t 0). If Windows has the drivers of this hardware already, skip this step: Windows applies the logs as it boots.',
  });
}

const badHive = (path: string, found: string) =>
  new OperatorError({
    what: `the registry file ${printable(path)} cannot be read`,
    found,
    needed: 'a whole registry hive',
    remedy:
      'Choose another recovery point, or put the hive back from Windows/System32/config/RegBack in the overlay with guestfish, then retry.',
  });

async function readSystemHive(hive: Hive) {
  const chosen: string[] = [];
  for (const name of ['Current', 'Default', 'LastKnownGood']) {
    const number = asNumber(await hive.value(['Select'], name)) ?? 0;
    const controlSet = `ControlSet${String(number).padStart(3, '0')}`;
    if (number < 1 || number > 999 || chosen.includes(controlSet) || !(await hive.has([controlSet]))) continue;
    chosen.push(controlSet);
  }
  if (chosen[0] === undefined) throw badHive('SYSTEM', 'no control set under Select');
  const environment = [chosen[0], 'Control', 'Session Manager', 'Environment'];
  return {
    controlSets: chosen,
    processor: asText(await hive.value(environment, 'PROCESSOR_ARCHITECTURE')),
    hasDatabase: await hive.has(['DriverDatabase']),
  };
}

async function readSoftware(hive: Hive) {
  const key = ['Microsoft', 'Windows NT', 'CurrentVersion'];
  const text = async (name: string) => asText(await hive.value(key, name));
  const number = async (name: string) => asNumber(await hive.value(key, name));
  return {
    productName: await text('ProductName'),
    currentVersion: await text('CurrentVersion'),
    majorNumber: await number('CurrentMajorVersionNumber'),
    minorNumber: await number('CurrentMinorVersionNumber'),
    buildNumber: (await text('CurrentBuildNumber')) ?? (await text('CurrentBuild')),
    installationType: await text('InstallationType'),
    systemRoot: await text('SystemRoot'),
  };
}

const unknownVersion = (path: string, facts: object) =>
  new OperatorError({
    what: `the version of Windows cannot be read from ${printable(path)}`,
    found: printable(JSON.stringify(facts)),
    needed: 'CurrentVersion, CurrentBuildNumber and the processor',
    remedy: 'Look whether this is a Windows that has finished its installation; or skip this step.',
  });

/**
 * Inoculation of a Windows guest, second half: its registry.
 *
 *   look (hives read in the appliance) ── all in place ──> report
 *     └─ something lacks ──> edit ──> look again: nothing may lack ──> the old hives go ──> report
 */
import { OperatorError, PermanentError } from '../../model/errors';
import type { RegistryReport } from '../contract';
import type { GuestVolume } from '../linux/device-names';
import { filesOf, lackingFiles } from './copy-drivers';
import { packageFolder, planDrivers, type DriverPlan } from './drivers';
import { editHive, forgetOldHive, restoreHive, wasInterrupted } from './edit-hive';
import { placeOf } from './find-windows';
import type { Hive } from './hive';
import type { WindowsRequest } from './inoculate';
import { lackingIn, type Lacking } from './lacking';
import { judgeLetters, mountedDevices, type LetterReport } from './mounted-devices';
import { whileReading, whileWriting } from './mounting';
import { identifyPartitions } from './partitions';
import { asText, describeEdit, expandableValue, regeditText, showKey, type RegistryEdit } from './registry-values';
import { readFacts, withHive, type WindowsFacts } from './system-facts';
import { hasDriverDatabase } from './version';
import { probeVolume, refuseUnclean } from './volume-state';
import { criticalDevices, databaseDevices, driverDatabase, enabledService, packageService } from './wanted-registry';

export interface RegistryRequest extends WindowsRequest {
  /** All volumes of all disks. */
  readonly volumes: readonly GuestVolume[];
}

interface Look {
  readonly facts: WindowsFacts;
  readonly plans: readonly DriverPlan[];
  readonly letters: LetterReport;
  /** Path of the hive -> what lacks in it. */
  readonly lacking: ReadonlyMap<string, Lacking>;
  readonly verified: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Makes Windows start the drivers of `hardware`, in every control set that it may boot with.
 *
 * @throws OperatorError when the volume may not be written to, a hive cannot be read or a driver lacks; PermanentError when
 * what was written does not read back (the old hive is then put back).
 */
export async function updateWindowsRegistry(request: RegistryRequest): Promise<RegistryReport> {
  const { guest, system, stage } = request;
  stage('looking at Windows and its registry', 55);
  const probe = await probeVolume(guest, system);
  const first = await whileReading(guest, system, async () => {
    const state = await refuseUnclean(guest, system, probe);
    return { state, before: (await isInterrupted(request)) ? null : await look(request) };
  });
  const { state } = first;
  const before = first.before ?? (await lookAfterRestoring(request));
  const changed = [...before.lacking].filter(([, { edits }]) => edits.length > 0);
  const after = changed.length === 0 ? before : await write(request, changed);
  return {
    operatingSystem: before.facts.title,
    controlSets: before.facts.controlSets,
    changes: changed.flatMap(([, { edits }]) => edits.map(describeEdit)),
    verified: [...state.verified, ...after.verified, ...after.letters.verified],
    warnings: [...after.warnings, ...after.letters.warnings],
  };
}

const hivesOf = ({ system }: RegistryRequest): string[] => [system.systemHive, system.softwareHive];

/** An earlier attempt was lost between keeping an old hive and verifying the new one. */
async function isInterrupted(request: RegistryRequest): Promise<boolean> {
  for (const path of hivesOf(request)) if (await wasInterrupted(request.guest, path)) return true;
  return false;
}

async function lookAfterRestoring(request: RegistryRequest): Promise<Look> {
  const { guest, system } = request;
  await whileWriting(guest, system, async () => {
    for (const path of hivesOf(request)) await restoreHive(guest, path);
  });
  return whileReading(guest, system, () => look(request));
}

async function look(request: RegistryRequest): Promise<Look> {
  const { guest, system } = request;
  const facts = await readFacts(guest, system);
  const partitions = await identifyPartitions(guest, request.volumes);
  const ofSystem = await withHive(guest, system.systemHive, async (hive) => {
    const plans = await planDrivers({ ...request, facts }, hive);
    const letters = judgeLetters(
      await hive.values(mountedDevices),
      [...partitions.values()],
      partitions.get(system.volume.device) ?? { place: placeOf(system.volume), identity: null },
      facts.systemLetter,
    );
    const wanted = [...wantedOf(plans, facts), ...letters.edits];
    const unknown = await unknownDevices(hive, plans, facts);
    return { plans, letters, wanted, lacking: await lackingIn(hive, wanted), unknown };
  });
  await refuseMissingFiles(request, ofSystem.plans);
  const lacking = new Map([[system.systemHive, ofSystem.lacking]]);
  if (ofSystem.plans.some(({ how }) => how === 'package')) {
    lacking.set(system.softwareHive, await withHive(guest, system.softwareHive, (hive) => devicePath(hive, request)));
  }
  return {
    ...{ facts, plans: ofSystem.plans, letters: ofSystem.letters, lacking },
    verified: ofSystem.wanted.map((edit) => `in place: ${describeEdit(edit)}`),
    warnings: ofSystem.unknown,
  };
}

function wantedOf(plans: readonly DriverPlan[], facts: WindowsFacts): RegistryEdit[] {
  const database = hasDriverDatabase(facts.version);
  if (database && !facts.hasDatabase) throw noDatabase(facts);
  return plans.flatMap((plan) => {
    if (plan.kind === 'network' || plan.how === 'plug-and-play') return [];
    if (plan.how === 'in-windows') {
      const ids = database ? [] : plan.known.hardwareIds;
      return facts.controlSets.flatMap((set) => [
        ...enabledService(set, plan.service),
        ...criticalDevices(set, plan.service, ids),
      ]);
    }
    const { driver } = plan;
    const ids = database ? [] : driver.hardwareIds.map(({ id }) => id);
    return [
      ...facts.controlSets.flatMap((set) => [
        ...packageService(set, driver),
        ...criticalDevices(set, driver.service, ids),
      ]),
      ...(database ? driverDatabase(driver, facts.version) : []),
    ];
  });
}

/** Windows 8 and later: a driver that Windows has should know its device; Muster does not write there for it. */
async function unknownDevices(hive: Hive, plans: readonly DriverPlan[], facts: WindowsFacts): Promise<string[]> {
  if (!hasDriverDatabase(facts.version)) return [];
  const unknown: string[] = [];
  for (const plan of plans) {
    if (plan.kind !== 'storage' || plan.how !== 'in-windows') continue;
    const keys = databaseDevices(plan.known);
    let known = keys.length === 0;
    for (const key of keys) known ||= await hive.has(key);
    if (!known) unknown.push(`${plan.service}: no device of this hardware under ${showKey(keys[0]!)}`);
  }
  return unknown;
}

/** Where plug and play looks for drivers when it finds a new device. */
async function devicePath(hive: Hive, { system }: RegistryRequest): Promise<Lacking> {
  const key = ['Microsoft', 'Windows', 'CurrentVersion'];
  const folder = packageFolder(system).slice(system.folder.length).replaceAll('/', '\\');
  const added = `%SystemRoot%${folder}`;
  const parts = (asText(await hive.value(key, 'DevicePath')) ?? String.raw`%SystemRoot%\inf`).split(';');
  if (parts.some((part) => part.trim().toLowerCase() === added.toLowerCase())) return lackingIn(hive, []);
  return lackingIn(hive, [
    { kind: 'set', key, name: 'DevicePath', value: expandableValue([...parts, added].join(';')) },
  ]);
}

/** A service without its program would end the boot with a blue screen. */
async function refuseMissingFiles({ guest, system }: RegistryRequest, plans: readonly DriverPlan[]): Promise<void> {
  const [missing] = await lackingFiles(guest, filesOf(plans, system));
  if (missing === undefined) return;
  throw new OperatorError({
    what: 'the registry would name a driver whose files are not on the disk',
    found: `${missing.path} is not there as it is in the driver folder`,
    needed: 'the files that the step "inoculate" copies',
    remedy:
      'Inoculate first: `muster retry RUN --from inoculate --reason …`. If that step was skipped on purpose, skip this one too.',
  });
}

async function write(request: RegistryRequest, changed: readonly (readonly [string, Lacking])[]): Promise<Look> {
  const { guest, system, stage, scratch, signal } = request;
  await whileWriting(guest, system, async () => {
    for (const [path, { edits, exists }] of changed) {
      stage(`writing ${path.split('/').at(-1)!}`, 75);
      await editHive(guest, path, regeditText(edits, exists), { scratch, signal });
    }
  });
  stage('reading back what was written', 90);
  await guest.ask('drop-caches', ['3']);
  return whileWriting(guest, system, async () => {
    const after = await look(request);
    const left = [...after.lacking.values()].flatMap(({ edits }) => edits);
    for (const [path] of changed) await (left.length === 0 ? forgetOldHive(guest, path) : restoreHive(guest, path));
    if (left.length > 0) throw notInPlace(left);
    return after;
  });
}

const notInPlace = (left: readonly RegistryEdit[]) =>
  new PermanentError({
    what: 'the registry does not read back; the old one was put back',
    found: left.map(describeEdit).join('; '),
    needed: 'every value in place',
    remedy: 'Decide "retry" once; if it stays, look at the overlay with guestfish (hivex-open, or virt-win-reg).',
  });

const noDatabase = (facts: WindowsFacts) =>
  new OperatorError({
    what: `the registry of ${facts.title} is not what it should be`,
    found: 'no DriverDatabase in the SYSTEM hive',
    needed: 'the DriverDatabase of Windows 8 and later',
    remedy: 'Choose another recovery point; or skip this step if Windows has the drivers of this hardware.',
  });

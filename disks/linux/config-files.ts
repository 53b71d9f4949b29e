/** Which of the guest's configuration files have to change for the hardware, computed from what they hold. */
import { OperatorError } from '../../model/errors';
import type { HardwareProfile, NicSpec } from '../../model/server';
import type { GuestFiles } from '../guest-files';
import { printable } from '../guestfish-words';
import type { Resolve } from './device-names';
import { rewriteCrypttab, rewriteFstab, type Rewrite } from './fstab';
import { rewriteDeviceMap, rewriteGrubConfig, rewriteGrubDefaults, rewriteResume } from './grub';
import type { LinuxSystem } from './find-system';
import { namesAtRisk, networkFolders, planNicNames, rewriteDriverMatch } from './nic-names';
import { planFallbackLoader, type FileCopy } from './uefi';

export interface ConfigPlan {
  /** path -> new content; only files that differ. */
  readonly files: ReadonlyMap<string, string>;
  /** Files of the guest that have to be at another place, too. */
  readonly copies: readonly FileCopy[];
  readonly changes: readonly string[];
  readonly warnings: readonly string[];
  /** What was looked at and found to survive, in words for the record. */
  readonly sound: readonly string[];
}

type Rewriter = (text: string, resolve: Resolve) => Rewrite;

const fixedFiles: readonly (readonly [string, Rewriter])[] = [
  ['/etc/fstab', rewriteFstab],
  ['/etc/crypttab', rewriteCrypttab],
  ['/etc/default/grub', rewriteGrubDefaults],
  ['/boot/grub/grub.cfg', rewriteGrubConfig],
  ['/boot/grub/device.map', rewriteDeviceMap],
  ['/etc/initramfs-tools/conf.d/resume', rewriteResume],
];

/**
 * Reads the guest's configuration and says what it has to become.
 *
 * @throws OperatorError when an entry that the system cannot start without names a device that cannot be found.
 */
export async function planConfig(
  files: GuestFiles,
  system: LinuxSystem,
  resolve: Resolve,
  hardware: HardwareProfile,
  nics?: readonly NicSpec[],
): Promise<ConfigPlan> {
  const devices = await planDeviceNames(files, resolve);
  const network = await planNetwork(files, hardware, nics);
  const loader = await planFallbackLoader(files, system);
  return {
    files: new Map([...devices.files, ...network.files]),
    copies: loader.copies,
    changes: [...devices.changes, ...network.changes, ...loader.changes],
    warnings: [...devices.warnings, ...network.warnings, ...loader.warnings],
    sound: [...devices.sound, ...network.sound, ...loader.sound],
  };
}

async function planDeviceNames(files: GuestFiles, resolve: Resolve): Promise<Omit<ConfigPlan, 'copies'>> {
  const plan = {
    files: new Map<string, string>(),
    changes: [] as string[],
    warnings: [] as string[],
    sound: [] as string[],
  };
  const more = (await files.names('/etc/default/grub.d')).filter((name) => name.endsWith('.cfg'));
  const all = [...fixedFiles, ...more.map((name) => [`/etc/default/grub.d/${name}`, rewriteGrubDefaults] as const)];
  for (const [path, rewrite] of all) {
    const text = await files.text(path);
    if (text === null) continue;
    const result = rewrite(text, resolve);
    const fatal = result.unknown.find((entry) => entry.fatal);
    if (fatal !== undefined) throw unresolved(path, fatal.name, fatal.because);
    plan.warnings.push(
      ...result.unknown.map((entry) => `${path}: ${printable(entry.name)} left as it is: ${entry.because}`),
    );
    plan.changes.push(...result.changes.map((change) => `${path}: ${printable(change)}`));
    if (result.text !== text) plan.files.set(path, result.text);
    else plan.sound.push(`${path} names no device that depends on the hardware`);
  }
  return plan;
}

async function planNetwork(
  files: GuestFiles,
  hardware: HardwareProfile,
  nics?: readonly NicSpec[],
): Promise<Omit<ConfigPlan, 'copies'>> {
  const texts = await readNetworkFiles(files);
  const changed = new Map<string, string>();
  const changes: string[] = [];
  for (const [path, text] of texts) {
    const rewritten = rewriteDriverMatch(path, text, hardware);
    if (rewritten === text) continue;
    changed.set(path, rewritten);
    changes.push(`${path}: bound to the new card's driver`);
  }
  const names = namesAtRisk(texts);
  const plan = planNicNames(names, hardware, nics);
  let missing = 0;
  for (const [path, text] of plan.links) {
    if (texts.get(path) === text) continue;
    changed.set(path, text);
    missing += 1;
  }
  const sound =
    missing > 0 || plan.warnings.length > 0 ? [] : [`network names ${names.join(', ') || '(none)'} are kept`];
  return {
    files: changed,
    changes: [...changes, ...(missing > 0 ? plan.changes : [])],
    warnings: plan.warnings,
    sound,
  };
}

async function readNetworkFiles(files: GuestFiles): Promise<Map<string, string>> {
  const paths = ['/etc/network/interfaces'];
  for (const [folder, pattern] of networkFolders) {
    const names = await files.names(folder);
    paths.push(...names.filter((name) => pattern.test(name)).map((name) => `${folder}/${name}`));
  }
  const texts = new Map<string, string>();
  for (const path of paths.slice(0, 200)) {
    const text = await files.text(path);
    if (text !== null) texts.set(path, text);
  }
  return texts;
}

const unresolved = (path: string, name: string, because: string) =>
  new OperatorError({
    what: `${path} in the guest names ${printable(name)}, which will not exist on the new hardware`,
    found: because,
    needed: 'one volume with a UUID that the name means',
    remedy: `Put UUID=… into ${path} with guestfish on the overlay, then decide "retry".`,
  });

/** What an inoculation says that it did: from what was found before and after. */
import type { InoculationReport } from '../contract';
import { printable } from '../guestfish-words';
import type { Addition } from './append';
import type { LinuxSystem } from './find-system';
import type { Findings } from './findings';
import type { KernelPlan } from './kernels';

/** The report of an inoculation; its inoculator is named after what builds the guest's initramfs. */
export function report(
  system: LinuxSystem,
  before: Findings,
  after: Findings,
  additions: ReadonlyMap<string, Addition>,
): InoculationReport {
  const kernels = before.kernels.filter(({ action }) => action !== 'unfit');
  const unfit = before.kernels.filter(({ action }) => action === 'unfit');
  return {
    inoculator: before.kernels[0]?.tool ?? 'initramfs-tools',
    operatingSystem: system.prettyName,
    kernels: kernels.map((plan) => ({
      release: plan.release,
      how: plan.action === 'none' ? 'already-fit' : additions.has(plan.release) ? 'archive-appended' : 'regenerated',
      modulesAdded: plan.action === 'none' ? [] : plan.missing,
    })),
    changes: [...before.config.changes, ...before.modules.changes, ...kernels.flatMap(rewrittenInside)],
    verified: [
      ...after.kernels
        .filter(({ action }) => action === 'none')
        .map((plan) => `kernel ${plan.release}: ${plan.because}`),
      ...[...additions.values()].map(
        (addition) => `${addition.initramfsPath} reads back with sha256 ${addition.sha256}`,
      ),
      ...after.config.sound,
      ...after.modules.sound,
    ],
    warnings: [
      ...after.config.warnings,
      ...unfit.map((plan) => `kernel ${plan.release} left as it is: ${plan.because}`),
    ],
  };
}

/** Copies of the guest's configuration in an initramfs that named a device that would be gone. */
const rewrittenInside = ({ initramfsPath, overrides }: KernelPlan): string[] =>
  [...overrides.keys()].map((name) => `${initramfsPath}: ${printable(name)} in it names volumes by UUID`);

/**
 * Our own look at a system that virt-v2v converted: whether each kernel's initramfs holds what its disks need. It reads
 * less than an inoculation of ours does, because it has to understand systems that we do not inoculate.
 */
import { isMusterError } from '../model/errors';
import type { HardwareProfile } from '../model/server';
import { guestFiles, type GuestFiles } from './guest-files';
import type { Guestfish } from './guestfish';
import { printable } from './guestfish-words';
import { findLinux, listVolumes } from './linux/find-system';
import { mountAll } from './linux/findings';
import { readInitramfs } from './linux/initramfs';
import { kernelReleases } from './linux/kernels';
import { moduleName, parseModuleIndex } from './linux/modules';
import { nicDrivers } from './linux/nic-names';

export interface V2vFindings {
  readonly operatingSystem: string;
  /** Newest first. */
  readonly kernels: readonly { readonly release: string; readonly missing: readonly string[] }[];
  readonly verified: readonly string[];
  /** What could not be looked at. */
  readonly warnings: readonly string[];
}

const limits = { initramfsBytes: 1024 ** 3, indexBytes: 16 * 1024 * 1024 };
/** Names by distribution family: Debian, Red Hat, SUSE. */
const initramfsNames = (release: string) => [
  `/boot/initrd.img-${release}`,
  `/boot/initramfs-${release}.img`,
  `/boot/initrd-${release}`,
];

/** `guest`: started, with the converted disks; nothing is written. */
export async function lookAfterV2v(
  guest: Guestfish,
  hardware: HardwareProfile,
  scratch: string,
  options: { signal?: AbortSignal | undefined; unlockKeys?: readonly Uint8Array[] | undefined } = {},
): Promise<V2vFindings> {
  const files = guestFiles(guest, scratch);
  const system = await findLinux(guest, files, await listVolumes(guest, options.unlockKeys));
  await mountAll(guest, system, 'mount-ro');
  const found = { kernels: [] as V2vFindings['kernels'][number][], verified: [] as string[], warnings: [] as string[] };
  const needed = hardware.linuxModules.map(moduleName).filter((name) => name !== nicDrivers[hardware.nicModel]);
  for (const release of await kernelReleases(files)) {
    try {
      const missing = await missingIn(files, release, needed, options.signal);
      found.kernels.push({ release, missing });
      if (missing.length === 0) found.verified.push(`kernel ${release}: its initramfs holds ${needed.join(', ')}`);
      else found.warnings.push(`kernel ${release} was left without ${missing.join(', ')}`);
    } catch (error) {
      if (!isMusterError(error) || error.family === 'TransientError') throw error;
      found.warnings.push(`kernel ${release} could not be verified: ${printable(error.facts.found ?? error.message)}`);
    }
  }
  return { operatingSystem: system.prettyName, ...found };
}

/** Of these modules those that are neither in the kernel's initramfs nor built into it. */
async function missingIn(
  files: GuestFiles,
  release: string,
  needed: readonly string[],
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const builtin = parseModuleIndex('', (await files.text(`/lib/modules/${release}/modules.builtin`)) ?? '').builtin;
  const wanted = needed.filter((name) => !builtin.has(name));
  for (const path of initramfsNames(release)) {
    const local = await files.download(path, limits.initramfsBytes);
    if (local === null) continue;
    const { entries } = await readInitramfs(local, () => false, signal);
    const inside = new Set([...entries.keys()].filter((name) => /\.ko(\.\w+)?$/.test(name)).map(moduleName));
    return wanted.filter((name) => !inside.has(name));
  }
  return wanted;
}

/** The guest's kernels, and what each one's initramfs lacks for the hardware. */
import { rm, readFile } from 'node:fs/promises';
import { isMusterError } from '../../model/errors';
import type { HardwareProfile } from '../../model/server';
import type { GuestFiles } from '../guest-files';
import type { Resolve } from './device-names';
import { rewriteCrypttab } from './fstab';
import { rewriteArguments, rewriteResume } from './grub';
import { readInitramfs, type Initramfs } from './initramfs';
import { closureOf, moduleName, parseModuleIndex, parseSoftDependencies, type ModuleIndex } from './modules';

/** What builds the guest's initramfs. */
export type InitramfsTool = 'initramfs-tools' | 'dracut';

export interface KernelPlan {
  readonly release: string;
  readonly tool: InitramfsTool;
  /** GRUB starts this one when nobody chooses; absent where its menu could not be understood. */
  readonly startsByDefault?: boolean;
  readonly initramfsPath: string;
  /** `unfit`: the kernel has no such driver at all. */
  readonly action: 'none' | 'append' | 'regenerate' | 'unfit';
  readonly because: string;
  /** Local copy and listing of the initramfs; null where it is missing or cannot be read. */
  readonly initramfs: (Initramfs & { readonly localPath: string }) | null;
  /** Paths under /lib/modules/<release> that are to be added. */
  readonly missing: readonly string[];
  /** Names that are to be loaded at boot, without what is built in. */
  readonly load: readonly string[];
  /** Files of the initramfs's own configuration that have to change: name in the archive -> content. */
  readonly overrides: ReadonlyMap<string, string>;
}

const limits = { initramfsBytes: 1024 ** 3, indexBytes: 16 * 1024 * 1024, kernels: 20 };
const releasePattern = /^vmlinuz-([A-Za-z0-9][A-Za-z0-9.+~_-]{0,100})$/;

/** Releases of the kernels in /boot, newest first, as GRUB lists them. */
export async function kernelReleases(files: GuestFiles): Promise<string[]> {
  const releases = (await files.names('/boot')).flatMap((name) => releasePattern.exec(name)?.[1] ?? []);
  return releases.sort((a, b) => compareReleases(b, a)).slice(0, limits.kernels);
}

/** Order of kernel releases: numbers as numbers, the rest as text (what `sort -V` does for these names). */
export function compareReleases(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

/** Compares a kernel's initramfs with what the hardware needs. Changes nothing. */
export async function planKernel(
  files: GuestFiles,
  release: string,
  tool: InitramfsTool,
  hardware: HardwareProfile,
  resolve: Resolve,
  signal?: AbortSignal,
): Promise<KernelPlan> {
  const initramfsPath = `/boot/initrd.img-${release}`;
  const base = {
    release,
    tool,
    initramfsPath,
    initramfs: null,
    missing: [],
    load: [],
    overrides: new Map<string, string>(),
  };
  const index = await readIndex(files, release);
  if (index === null) return { ...base, action: 'unfit', because: `/lib/modules/${release}/modules.dep is missing` };
  const needed = closureOf(hardware.linuxModules, index.modules, index.soft);
  if (needed.absent.length > 0) {
    return { ...base, action: 'unfit', because: `it has no module ${needed.absent.join(', ')}` };
  }
  const load = hardware.linuxModules.map(moduleName).filter((name) => !index.modules.builtin.has(name));
  if (needed.paths.length === 0) return { ...base, action: 'none', because: 'all drivers are built into the kernel' };
  const localPath = await files.download(initramfsPath, limits.initramfsBytes);
  if (localPath === null) return { ...base, load, action: 'regenerate', because: `${initramfsPath} is missing` };
  const initramfs = await tryRead(localPath, release, signal);
  if (typeof initramfs === 'string') {
    await rm(localPath, { force: true });
    return { ...base, load, action: 'regenerate', because: initramfs };
  }
  const missing = needed.paths.filter((path) => !contains(initramfs, release, path));
  const overrides = configOverrides(initramfs, resolve);
  const indexed = indexKnows(initramfs, release, needed.paths);
  const fits = missing.length === 0 && indexed && overrides.size === 0;
  return {
    ...base,
    load,
    missing,
    overrides,
    initramfs: { ...initramfs, localPath },
    action: fits ? 'none' : 'append',
    because: fits
      ? `${initramfsPath} holds ${needed.paths.map(moduleName).join(', ')}`
      : 'drivers or settings are missing',
  };
}

async function readIndex(
  files: GuestFiles,
  release: string,
): Promise<{ modules: ModuleIndex; soft: Map<string, string[]> } | null> {
  const read = async (name: string) => {
    const copy = await files.download(`/lib/modules/${release}/${name}`, limits.indexBytes);
    return copy === null ? null : readFile(copy, 'utf8');
  };
  const dep = await read('modules.dep');
  if (dep === null) return null;
  const builtin = (await read('modules.builtin')) ?? '';
  return {
    modules: parseModuleIndex(dep, builtin),
    soft: parseSoftDependencies((await read('modules.softdep')) ?? ''),
  };
}

async function tryRead(path: string, release: string, signal?: AbortSignal): Promise<Initramfs | string> {
  try {
    return await readInitramfs(path, (name) => isKept(name, release), signal);
  } catch (error) {
    signal?.throwIfAborted();
    if (isMusterError(error)) return `its initramfs cannot be read: ${error.facts.found ?? error.message}`;
    throw error;
  }
}

const isKept = (name: string, release: string) =>
  name === 'conf/modules' ||
  rewriterOf(name) !== undefined ||
  name.replace(/^usr\//, '') === `lib/modules/${release}/modules.dep`;

/** By module name and not by path: an initramfs may hold the same module unpacked. */
function contains(initramfs: Initramfs, release: string, path: string): boolean {
  return moduleNames(initramfs, release).has(moduleName(path));
}

const nameCache = new WeakMap<Initramfs, Set<string>>();
function moduleNames(initramfs: Initramfs, release: string): Set<string> {
  const known = nameCache.get(initramfs);
  if (known !== undefined) return known;
  const inside = [...initramfs.entries.keys()].filter(
    (name) => name.replace(/^usr\//, '').startsWith(`lib/modules/${release}/`) && /\.ko(\.\w+)?$/.test(name),
  );
  const names = new Set(inside.map(moduleName));
  nameCache.set(initramfs, names);
  return names;
}

/** modprobe finds a module only through modules.dep. */
function indexKnows(initramfs: Initramfs, release: string, paths: readonly string[]): boolean {
  const folder = `${initramfs.libFolder}/modules/${release}/modules.dep`;
  const dep = initramfs.kept.get(folder) ?? initramfs.kept.get(folder.replace(/^usr\//, ''));
  if (dep === undefined) return false;
  const index = parseModuleIndex(dep.toString('utf8'), '');
  return paths.every((path) => index.paths.has(moduleName(path)));
}

/** Settings that were copied into the initramfs and may name a device that will be gone: by initramfs-tools, cryptsetup, dracut. */
function rewriterOf(name: string): ((text: string, resolve: Resolve) => { readonly text: string }) | undefined {
  if (name.startsWith('conf/conf.d/')) return rewriteResume;
  if (name === 'cryptroot/crypttab' || name === 'etc/crypttab') return rewriteCrypttab;
  return /^etc\/cmdline\.d\/[^/]+\.conf$/.test(name) ? rewriteArguments : undefined;
}

function configOverrides(initramfs: Initramfs, resolve: Resolve): Map<string, string> {
  const overrides = new Map<string, string>();
  for (const [name, content] of initramfs.kept) {
    const text = content.toString('utf8');
    const rewritten = rewriterOf(name)?.(text, resolve).text ?? text;
    if (rewritten !== text) overrides.set(name, rewritten);
  }
  return overrides;
}

/** What initramfs-tools or dracut in the guest is told, so that its next kernel update keeps what was added. */
import { assertNever } from '../../model/errors';
import type { GuestFiles } from '../guest-files';
import type { InitramfsTool, KernelPlan } from './kernels';
import { loadList } from './append';

export interface ModulesFilePlan {
  readonly path: string;
  /** The new content; null where nothing has to change. */
  readonly text: string | null;
  readonly changes: readonly string[];
  readonly sound: readonly string[];
}

const path = '/etc/initramfs-tools/modules';
const folder = '/etc/initramfs-tools';
const dracutPath = '/etc/dracut.conf.d/muster.conf';
const added = '# Added by Muster for the hardware that this system was recovered onto\n';

/** What the guest's own tool has to be told, from what its kernels lack. */
export function planModulesFile(
  files: GuestFiles,
  tool: InitramfsTool,
  kernels: readonly KernelPlan[],
): Promise<ModulesFilePlan> {
  switch (tool) {
    case 'initramfs-tools':
      return planForInitramfsTools(files, kernels);
    case 'dracut':
      return planForDracut(files, kernels);
    default:
      return assertNever(tool);
  }
}

/** dracut.conf(5). A generic initramfs takes every driver by itself; one for this host only has to be told. */
async function planForDracut(files: GuestFiles, kernels: readonly KernelPlan[]): Promise<ModulesFilePlan> {
  const wanted = [...new Set(kernels.flatMap(({ load }) => load))];
  const before = await files.text(dracutPath);
  const same = { path: dracutPath, text: null, changes: [] };
  if (before === null && kernels.every(({ action }) => action === 'none' || action === 'unfit')) {
    return { ...same, sound: ['dracut has taken all drivers by itself'] };
  }
  const listed = new Set([...(before ?? '').matchAll(/^add_drivers\+="([^"]*)"/gm)].flatMap((m) => m[1]!.split(/\s+/)));
  const missing = wanted.filter((name) => !listed.has(name));
  if (missing.length === 0) return { ...same, sound: [`${dracutPath} lists ${wanted.join(', ')}`] };
  const text = `${before ?? ''}${added}add_drivers+=" ${missing.join(' ')} "\n`;
  return { path: dracutPath, text, changes: [`${dracutPath}: ${missing.join(', ')} added`], sound: [] };
}

/** MODULES=most (Debian's default) takes every disk driver by itself; `dep` and `list` have to be told. */
async function planForInitramfsTools(files: GuestFiles, kernels: readonly KernelPlan[]): Promise<ModulesFilePlan> {
  const setting = (await initramfsToolsSetting(files, 'MODULES')) ?? 'most';
  const wanted = [...new Set(kernels.flatMap(({ load }) => load))];
  const same = { path, text: null, changes: [] };
  if (setting === 'most' && kernels.every(({ action }) => action === 'none' || action === 'unfit')) {
    return { ...same, sound: ['initramfs-tools takes all drivers (MODULES=most)'] };
  }
  const before = (await files.text(path)) ?? '';
  const missing = missingNames(before, wanted);
  if (missing.length === 0) return { ...same, sound: [`${path} lists ${wanted.join(', ')}`] };
  return { path, text: extendModules(before, missing), changes: [`${path}: ${missing.join(', ')} added`], sound: [] };
}

/** A setting as mkinitramfs would see it: initramfs.conf, then conf.d in order; null where none of them has it. */
export async function initramfsToolsSetting(files: GuestFiles, name: 'MODULES' | 'COMPRESS'): Promise<string | null> {
  const names = (await files.names(`${folder}/conf.d`)).filter((file) => /^[A-Za-z0-9_.-]+$/.test(file));
  const line = new RegExp(`^[ \\t]*${name}=["']?(\\w+)`, 'gm');
  let setting: string | null = null;
  for (const file of [`${folder}/initramfs.conf`, ...names.map((one) => `${folder}/conf.d/${one}`)]) {
    for (const match of ((await files.text(file)) ?? '').matchAll(line)) setting = match[1]!;
  }
  return setting;
}

function missingNames(text: string, wanted: readonly string[]): string[] {
  const lines = text.split('\n').filter((line) => !line.trim().startsWith('#'));
  const after = loadList(lines.join('\n'), wanted).split('\n');
  return wanted.filter((name) => after.slice(lines.filter((line) => line.trim() !== '').length).includes(name));
}

/** Adds the names, each on a line of its own, under a comment that says who did it. */
export function extendModules(text: string, names: readonly string[]): string {
  const head = text === '' || text.endsWith('\n') ? text : `${text}\n`;
  return `${head}${added}${names.join('\n')}\n`;
}

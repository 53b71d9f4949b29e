/**
 * The loader that UEFI firmware starts when it knows no boot entry. Entries lie in the old machine's memory (NVRAM), so a
 * new machine has none; `\EFI\BOOT\BOOTX64.EFI` on the EFI system partition is what it looks for (UEFI 2.10, 3.5.1.1).
 */
import { OperatorError, PermanentError } from '../../model/errors';
import type { GuestFiles } from '../guest-files';
import { temporaryName } from '../guest-files';
import type { Guestfish } from '../guestfish';
import { freeBytes } from './append';
import type { LinuxSystem } from './find-system';

/** A file of the guest that is to be copied to another place in it. */
export interface FileCopy {
  readonly from: string;
  readonly to: string;
}

export interface FallbackLoaderPlan {
  readonly copies: readonly FileCopy[];
  readonly changes: readonly string[];
  readonly warnings: readonly string[];
  readonly sound: readonly string[];
}

const nothing: FallbackLoaderPlan = { copies: [], changes: [], warnings: [], sound: [] };
/** Folders of EFI/ that hold no Linux loader. */
const foreign = ['boot', 'microsoft', 'tools'];

/** What is missing for a machine without boot entries; nothing on systems without an EFI system partition. */
export async function planFallbackLoader(files: GuestFiles, system: LinuxSystem): Promise<FallbackLoaderPlan> {
  const esp = ['/boot/efi', '/efi'].find((point) => system.mounts.has(point));
  if (esp === undefined || !(await files.isFolder(`${esp}/EFI`))) return nothing;
  const fallback = `${esp}/EFI/BOOT`;
  if (await files.isFile(`${fallback}/BOOTX64.EFI`)) {
    return { ...nothing, sound: [`${fallback}/BOOTX64.EFI is there for firmware without a boot entry`] };
  }
  const folders = (await files.names(`${esp}/EFI`)).filter((name) => !foreign.includes(name.toLowerCase()));
  const own = folders.sort((a, b) => Number(b === system.id) - Number(a === system.id));
  for (const folder of own.map((name) => `${esp}/EFI/${name}`)) {
    const copies = await copiesFrom(files, folder, fallback);
    if (copies.length === 0) continue;
    return { ...nothing, copies, changes: copies.map(({ from, to }) => `${to}: copied from ${from}`) };
  }
  const warning = `${esp} holds no loader that a machine without boot entries could start (no shimx64.efi or grubx64.efi)`;
  return { ...nothing, warnings: [warning] };
}

/** shim starts the grubx64.efi beside it; GRUB reads its grub.cfg from where it was installed, or beside it. */
async function copiesFrom(files: GuestFiles, folder: string, fallback: string): Promise<FileCopy[]> {
  const has = (name: string) => files.isFile(`${folder}/${name}`);
  const copy = (from: string, to: string): FileCopy => ({ from: `${folder}/${from}`, to: `${fallback}/${to}` });
  if (!(await has('grubx64.efi'))) return [];
  const shim = await has('shimx64.efi');
  // The loader that firmware looks for comes last: it is what says that all of them are there.
  return [
    ...((await has('grub.cfg')) ? [copy('grub.cfg', 'grub.cfg')] : []),
    ...(shim && (await has('mmx64.efi')) ? [copy('mmx64.efi', 'mmx64.efi')] : []),
    ...(shim ? [copy('grubx64.efi', 'grubx64.efi'), copy('shimx64.efi', 'BOOTX64.EFI')] : []),
    ...(shim ? [] : [copy('grubx64.efi', 'BOOTX64.EFI')]),
  ];
}

/** Copies, each by way of a temporary name. @throws OperatorError when there is no room; PermanentError when one does not read back. */
export async function copyInGuest(guest: Guestfish, copies: readonly FileCopy[]): Promise<void> {
  for (const { from, to } of copies) {
    const folder = to.slice(0, to.lastIndexOf('/'));
    await guest.ask('mkdir-p', [folder]);
    const size = Number(await guest.ask('filesize', [from]));
    const free = await freeBytes(guest, folder);
    if (free < size) {
      throw new OperatorError({
        what: 'the EFI system partition has no room for the loader that a new machine starts',
        found: `${free} bytes free`,
        needed: `${size} bytes for ${to}`,
        remedy: 'Remove old loaders from it in the overlay with guestfish, then decide "retry".',
      });
    }
    const temporary = temporaryName(to);
    await guest.ask('rm-f', [temporary]);
    await guest.ask('cp', [from, temporary]);
    await guest.ask('mv', [temporary, to]);
  }
}

/** @throws PermanentError when a copy is not what it was made from. */
export async function verifyCopies(guest: Guestfish, copies: readonly FileCopy[]): Promise<void> {
  for (const { from, to } of copies) {
    const [wanted, found] = [
      await guest.ask('checksum', ['sha256', from]),
      await guest.ask('checksum', ['sha256', to]),
    ];
    if (wanted === found) continue;
    throw new PermanentError({
      what: `${to} reads back differently from what was written`,
      found: `sha256 ${found.trim()}`,
      needed: `sha256 ${wanted.trim()}, as ${from}`,
    });
  }
}

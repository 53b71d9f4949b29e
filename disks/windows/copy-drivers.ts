/** Driver files in a mounted guest: which lack, copied by way of a temporary name, compared by their SHA-256. */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Guestfish } from '../guestfish';
import { temporaryName } from '../guest-files';
import { packageFolder, type DriverPlan } from './drivers';
import { realPath, type WindowsSystem } from './find-windows';

export interface DriverFile {
  /** Where it belongs in the guest. */
  readonly path: string;
  readonly bytes: Buffer;
  readonly sha256: string;
}

/** All files that the plans need: each package for plug and play, and a storage driver's program where the loader reads it. */
export function filesOf(plans: readonly DriverPlan[], system: WindowsSystem): DriverFile[] {
  return plans.flatMap((plan) => {
    if (plan.how !== 'package') return [];
    const { copies, program } = plan.driver;
    const loaded = plan.kind === 'storage' ? copies.filter(({ name }) => name === program.toLowerCase()) : [];
    return [
      ...copies.map(({ name, bytes }) => file(`${packageFolder(system)}/${name}`, bytes)),
      ...loaded.map(({ name, bytes }) => file(`${system.drivers}/${name}`, bytes)),
    ];
  });
}

const file = (path: string, bytes: Buffer): DriverFile => ({
  ...{ path, bytes },
  sha256: createHash('sha256').update(bytes).digest('hex'),
});

/** Those that are not there, or not with these bytes. */
export async function lackingFiles(guest: Guestfish, files: readonly DriverFile[]): Promise<DriverFile[]> {
  const lacking: DriverFile[] = [];
  for (const one of files) {
    const real = await realPath(guest, one.path);
    const isFile = real !== null && (await guest.ask('is-file', [real])).trim() === 'true';
    const same = isFile && (await guest.ask('checksum', ['sha256', real])).trim() === one.sha256;
    if (!same) lacking.push(one);
  }
  return lacking;
}

/** Copies them; the volume is mounted for writing. A file that is there is replaced as a whole. */
export async function copyFiles(guest: Guestfish, files: readonly DriverFile[], scratch: string): Promise<void> {
  await mkdir(scratch, { recursive: true, mode: 0o700 });
  for (const [index, one] of files.entries()) {
    const source = join(scratch, `driver-${index}`);
    await writeFile(source, one.bytes);
    await guest.ask('mkdir-p', [one.path.slice(0, one.path.lastIndexOf('/'))]);
    const target = (await realPath(guest, one.path)) ?? one.path;
    const temporary = temporaryName(target);
    await guest.ask('rm-f', [temporary]);
    await guest.ask('upload', [source, temporary]);
    await guest.ask('mv', [temporary, target]);
  }
}

/**
 * The driver folder of a recovery site: drivers that do not come with Windows, as their makers deliver them.
 *
 *     viostor/2k22/amd64/viostor.inf …   the layout of virtio-win
 *     viostor/amd64/viostor.inf …        one driver for all versions
 *     pvscsi/pvscsi.inf …                flat
 *
 * Names of folders are compared without regard to case. The folder is the site's own; what is in it is still checked: the
 * .inf must name a device and a service for this Windows, and the program must be for its processor.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readInf, type InfDriver } from './inf';
import { driverFolderNames, type WindowsVersion } from './version';

export interface DriverPackage extends InfDriver {
  /** Folder that it was found in. */
  readonly folder: string;
  readonly infName: string;
  /** The .inf and what it names beside itself, with names in lower case as they get in the guest. */
  readonly copies: readonly { readonly name: string; readonly path: string; readonly bytes: Buffer }[];
}

/** What was looked at and why nothing of it fits, in words. */
export interface NoDriver {
  readonly because: string;
}

const maxInfBytes = 1024 * 1024;
const maxFileBytes = 64 * 1024 * 1024;
const maxFiles = 64;

/** The best fitting package of a driver; `service` is its name in a hardware profile. */
export async function findDriver(
  root: string,
  service: string,
  windows: WindowsVersion,
): Promise<DriverPackage | NoDriver> {
  const driver = await child(root, service);
  if (driver === null) return { because: `no folder ${service}` };
  const reasons: string[] = [];
  for (const place of await placesOf(driver, windows)) {
    for (const infName of await infNames(place, service)) {
      const found = await readPackage(place, infName, windows);
      if (!('because' in found)) return found;
      reasons.push(`${infName}: ${found.because}`);
    }
  }
  return { because: reasons[0] ?? `${service}: no .inf for it in ${wantedFolders(windows)}` };
}

/** The names that are looked for, for messages: `2k22/amd64, …`. */
export function wantedFolders(windows: WindowsVersion): string {
  const names = driverFolderNames(windows).map((name) => `${name}/${windows.architecture}`);
  return [...names, windows.architecture].join(', ') + ' or directly in the driver’s own folder';
}

async function placesOf(driver: string, windows: WindowsVersion): Promise<string[]> {
  const places: string[] = [];
  for (const name of driverFolderNames(windows)) {
    const release = await child(driver, name);
    const place = release === null ? null : await child(release, windows.architecture);
    if (place !== null) places.push(place);
  }
  const anyVersion = await child(driver, windows.architecture);
  return [...places, ...(anyVersion === null ? [] : [anyVersion]), driver];
}

/** The folder of that name, whatever its case. */
async function child(folder: string, name: string): Promise<string | null> {
  const found = (await names(folder)).find((entry) => entry.toLowerCase() === name.toLowerCase());
  return found === undefined ? null : join(folder, found);
}

const names = (folder: string): Promise<string[]> =>
  readdir(folder).then(
    (entries) => entries.sort(),
    () => [],
  );

/** The .inf that is called like the driver first; makers put others beside it. */
async function infNames(folder: string, service: string): Promise<string[]> {
  const infs = (await names(folder)).filter((name) => name.toLowerCase().endsWith('.inf')).slice(0, maxFiles);
  const like = (name: string) => name.toLowerCase().startsWith(service.toLowerCase());
  return [...infs.filter(like), ...infs.filter((name) => !like(name))];
}

async function readPackage(
  folder: string,
  infName: string,
  windows: WindowsVersion,
): Promise<DriverPackage | NoDriver> {
  const inf = await contents(join(folder, infName), maxInfBytes);
  const driver = inf === null ? null : readInf(inf, windows);
  if (driver === null) return { because: `names no driver for ${windows.architecture} and this version` };
  const present = await names(folder);
  const copies: DriverPackage['copies'][number][] = [];
  for (const name of [infName.toLowerCase(), driver.program.toLowerCase(), ...driver.files]) {
    const entry = present.find((one) => one.toLowerCase() === name);
    if (entry === undefined || copies.some((copy) => copy.name === name)) continue;
    const bytes = await contents(join(folder, entry), maxFileBytes);
    if (bytes !== null) copies.push({ name, path: join(folder, entry), bytes });
  }
  const program = copies.find(({ name }) => name === driver.program.toLowerCase());
  if (program === undefined) return { because: `${driver.program} is not beside it` };
  const machine = processorOf(program.bytes);
  if (machine !== windows.architecture) {
    return { because: `${driver.program} is for ${machine ?? 'no known processor'}, not for ${windows.architecture}` };
  }
  return { ...driver, folder, infName: infName.toLowerCase(), copies: copies.slice(0, maxFiles) };
}

/** Null where there is no such file, or a larger one. */
async function contents(path: string, maxBytes: number): Promise<Buffer | null> {
  const info = await stat(path).catch(() => null);
  return info === null || !info.isFile() || info.size > maxBytes ? null : readFile(path);
}

/** Machine types of the PE format. */
const processors: Readonly<Record<number, WindowsVersion['architecture']>> = {
  0x8664: 'amd64',
  0x014c: 'x86',
  0xaa64: 'ARM64',
};

/** What a program's PE header says it runs on; null where it has none. */
export function processorOf(program: Buffer): WindowsVersion['architecture'] | null {
  if (program.length < 64 || program.toString('latin1', 0, 2) !== 'MZ') return null;
  const header = program.readUInt32LE(0x3c);
  if (header + 6 > program.length || program.toString('latin1', header, header + 4) !== 'PE\0\0') return null;
  return processors[program.readUInt16LE(header + 4)] ?? null;
}

/** Creates source servers at a simulated site: disks with an operating system and a running service. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { hardwareProfiles, type NicSpec } from '../../model/server';
import { fileSizeBytes, createDiskFile } from './disk-bytes';
import { changeMachine } from './machines';
import { holdDisk } from './holds';
import { fileNameFor, siteAt } from './site';

export interface SeedOptions {
  readonly name: string;
  /** Default: pc-ahci. */
  readonly hardware?: string;
  /** Sizes of its disks; the first is the system's. Default: one of 256 KiB. */
  readonly diskSizesBytes?: readonly number[];
  readonly memoryBytes?: number;
  readonly cpuCount?: number;
  readonly network?: string;
  /** Default: on. */
  readonly power?: 'on' | 'off';
  /** Default: a Debian whose initramfs has the drivers of its own hardware only; null: an empty disk. */
  readonly distribution?: string | null;
  /** Milliseconds since 1970, when it is switched on. Default: the clock of this process. */
  readonly now?: () => number;
}

const kernelRelease = '6.1.0-simulated';

/** Makes the machine, once; there already: left as it is. Returns its name, as `source.discover` takes it. */
export async function seedMachine(folder: string, options: SeedOptions): Promise<string> {
  const site = siteAt({ folder, id: 'seed', ...(options.now === undefined ? {} : { now: options.now }) });
  const hardware = hardwareProfiles[options.hardware ?? 'pc-ahci']!;
  const distribution = options.distribution === undefined ? 'debian' : options.distribution;
  const sizes = options.diskSizesBytes ?? [256 * 1024];
  const power = options.power ?? 'on';
  await changeMachine(site, options.name, 'seed', async (existing) => {
    if (existing) return null;
    const disks = sizes.map((sizeBytes, index) => ({
      diskId: `disk${index}`,
      index,
      path: join(site.folder, 'disks', `${fileNameFor(options.name)}-${index}.raw`),
      format: 'raw' as const,
      sizeBytes,
    }));
    for (const disk of disks) {
      const isSystem = disk.index === 0 && distribution !== null;
      const os = isSystem ? { distribution, kernelRelease, drivers: [...hardware.linuxModules] } : null;
      if ((await fileSizeBytes(disk.path)) === undefined) await createDiskFile(disk.path, disk.sizeBytes, os);
      if (power === 'on') await holdDisk(disk.path, `machine:${options.name}`);
    }
    const nic: NicSpec = {
      index: 0,
      macAddress: macFor(options.name),
      model: hardware.nicModel,
      network: options.network ?? 'lan',
    };
    const next = {
      name: options.name,
      uuid: uuidFor(options.name),
      owner: null,
      power,
      cpuCount: options.cpuCount ?? 1,
      memoryBytes: options.memoryBytes ?? 512 * 1024 ** 2,
      firmware: 'bios' as const,
      hardware,
      nics: [nic],
      disks,
      registeredPaths: [],
      poweredOnAt: power === 'on' ? site.now() : null,
      boots: power === 'on' ? 1 : 0,
      recoveredCounter: null,
      os: distribution === null ? null : debianLike(distribution),
      checkpoints: [],
    };
    return { next, takesMs: 0 };
  });
  return options.name;
}

function debianLike(distribution: string) {
  const prettyName = `${distribution} (simulated)`;
  return { family: 'linux' as const, distribution, version: '12', prettyName, kernelRelease };
}

/** A locally administered address of QEMU's range, the same for the same name. */
function macFor(name: string): string {
  const [a, b, c] = createHash('sha256').update(name).digest();
  return `52:54:00:${[a, b, c].map((byte) => (byte ?? 0).toString(16).padStart(2, '0')).join(':')}`;
}

/** A name-based uuid (version 8, RFC 9562): the same for the same name. */
function uuidFor(name: string): string {
  const bytes = createHash('sha256').update(`seed ${name}`).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/**
 * Where the volumes of a disk lie: MBR (with logical partitions) and GPT, read by sfdisk from a sparse copy of the few
 * regions that partition tables live in.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { limitsFor } from '../programs/limits';
import { ProgramError, runProgram } from '../programs/run';
import {
  copyWindow,
  createSparse,
  imageSizeBytes,
  withScratch,
  type ImageOptions,
  type ImageRef,
} from './signatures-image';

export interface Extent {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

export interface VolumePlace {
  /** From 1; 0 for the whole disk, where there is no partition. */
  readonly partition: number;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

export interface DiskLayout {
  readonly sizeBytes: number;
  readonly volumes: readonly VolumePlace[];
  /** The regions that decide the layout: as long as these do not change, it does not. */
  readonly tables: readonly Extent[];
}

interface SfdiskTable {
  readonly label: string;
  readonly sectorsize?: number;
  readonly partitions?: readonly { node: string; start: number; size: number; type: string }[];
}

const tableBytes = 1024 * 1024;
const sectorBytes = 512;
/** Extended partitions hold other partitions and no volume of their own (MBR types, hexadecimal). */
const extendedTypes = ['5', 'f', '85'];
/** Linux numbers no more logical partitions than this; also ends a chain that a hostile disk has closed to a ring. */
const maxLogical = 128;

/** Reads the disk's partition tables. A disk without one is one volume, number 0. */
export async function readLayout(image: ImageRef, options: ImageOptions = {}): Promise<DiskLayout> {
  const sizeBytes = await imageSizeBytes(image, options);
  return withScratch(async (folder) => {
    const copy = join(folder, 'disk');
    await createSparse(copy, sizeBytes);
    const tables = uniqueExtents(sizeBytes);
    for (const extent of tables) await copyExtent(image, extent, copy, options);
    const first = await sfdisk(copy, options);
    const extended = first?.partitions?.find((partition) => extendedTypes.includes(partition.type));
    if (extended !== undefined) {
      tables.push(...(await copyLogicalTables(image, copy, extended.start * sectorBytes, sizeBytes, options)));
    }
    const table = extended === undefined ? first : await sfdisk(copy, options);
    return { sizeBytes, volumes: volumesOf(table, sizeBytes, copy), tables };
  });
}

function uniqueExtents(sizeBytes: number): Extent[] {
  if (sizeBytes <= 2 * tableBytes) return [{ offsetBytes: 0, lengthBytes: sizeBytes }];
  return [
    { offsetBytes: 0, lengthBytes: tableBytes },
    { offsetBytes: sizeBytes - tableBytes, lengthBytes: tableBytes },
  ];
}

function volumesOf(table: SfdiskTable | undefined, sizeBytes: number, copy: string): VolumePlace[] {
  const unit = table?.sectorsize ?? sectorBytes;
  const volumes = (table?.partitions ?? [])
    .filter((partition) => !(table?.label === 'dos' && extendedTypes.includes(partition.type)))
    .map((partition) => ({
      partition: Number(partition.node.slice(copy.length).replace(/^p/, '')),
      offsetBytes: partition.start * unit,
      sizeBytes: Math.min(partition.size * unit, sizeBytes - partition.start * unit),
    }))
    .filter((volume) => volume.sizeBytes > 0);
  return volumes.length === 0 ? [{ partition: 0, offsetBytes: 0, sizeBytes }] : volumes;
}

/** Follows the chain of extended boot records: each names the next, relative to the extended partition's start. */
async function copyLogicalTables(
  image: ImageRef,
  copy: string,
  extendedStart: number,
  sizeBytes: number,
  options: ImageOptions,
): Promise<Extent[]> {
  const found: Extent[] = [];
  let at = extendedStart;
  while (at + sectorBytes <= sizeBytes && found.length < maxLogical && !found.some((e) => e.offsetBytes === at)) {
    const extent = { offsetBytes: at, lengthBytes: sectorBytes };
    await copyExtent(image, extent, copy, options);
    found.push(extent);
    const next = await nextLogical(copy, at);
    if (next === 0) break;
    at = extendedStart + next * sectorBytes;
  }
  return found;
}

async function nextLogical(copy: string, at: number): Promise<number> {
  const file = await open(copy, 'r');
  try {
    const record = Buffer.alloc(sectorBytes);
    await file.read(record, 0, sectorBytes, at);
    if (record.readUInt16LE(510) !== 0xaa55) return 0;
    return record.readUInt32LE(446 + 16 + 8);
  } finally {
    await file.close();
  }
}

function copyExtent(image: ImageRef, extent: Extent, copy: string, options: ImageOptions): Promise<void> {
  return copyWindow(image, { ...extent, target: copy, targetOffsetBytes: extent.offsetBytes }, options);
}

async function sfdisk(copy: string, options: ImageOptions): Promise<SfdiskTable | undefined> {
  try {
    const how = { timeoutMs: 30_000, signal: options.signal, limits: limitsFor.tables };
    const { stdout } = await runProgram('sfdisk', ['--json', copy], how);
    return (JSON.parse(stdout) as { partitiontable: SfdiskTable }).partitiontable;
  } catch (error) {
    if (error instanceof ProgramError && /does not contain a recognized partition table/.test(error.stderr)) {
      return undefined;
    }
    throw error;
  }
}

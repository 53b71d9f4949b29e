/**
 * The bytes of a simulated disk: small, and read back from the file by everybody who wants to know something.
 *
 *   0        MBR: one partition from sector 8 to the end, 0x55AA
 *   4096     the volume: zeros as in a boot block
 *   5120     its ext4 superblock; the magic 0xEF53 at byte 56 of it (little-endian: 53 EF) is the volume's signature
 *   8192     OS area: JSON, on system disks only: distribution and the drivers in the initramfs
 *   12288    service area: JSON, the counter's last record with a digest over it
 *   16384    data: the block that a counter value falls into is filled with it, so that points differ in real bytes
 *
 * Source of the facts: MBR layout as in UEFI 2.10, 5.2.1; ext4 superblock: kernel documentation, ext4/super.
 */
import { createHash } from 'node:crypto';
import { mkdir, open, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PermanentError } from '../../model/errors';
import type { SignaturePiece } from '../../model/replica';

export const blockBytes = 4096;
const sectorBytes = 512;
const partitionTableAt = 446;
export const volumeOffsetBytes = 8 * sectorBytes;
const magicAt = volumeOffsetBytes + 1024 + 56;
const magicHex = '53ef';
const osAreaAt = 8192;
const serviceAreaAt = 12288;
const dataAt = 16384;
export const smallestDiskBytes = 64 * 1024;

export interface OsArea {
  readonly distribution: string;
  readonly kernelRelease: string;
  readonly drivers: readonly string[];
  /** Of a Windows: the drivers that its registry starts. */
  readonly registry?: readonly string[];
}

export interface CounterRecord {
  readonly counter: number;
  /** UTC with milliseconds: when the service wrote it. */
  readonly at: string;
  readonly digest: string;
}

/** Creates the disk's file with partition, volume and signature; with an OS area when `os` is given. */
export async function createDiskFile(path: string, sizeBytes: number, os: OsArea | null): Promise<void> {
  if (sizeBytes < smallestDiskBytes || sizeBytes % blockBytes !== 0) {
    throw new PermanentError({
      what: `a simulated disk cannot have this size`,
      found: `${sizeBytes} bytes`,
      needed: `at least ${smallestDiskBytes} bytes, a multiple of ${blockBytes}`,
    });
  }
  await mkdir(dirname(path), { recursive: true });
  await withDisk(path, 'w+', async (disk) => {
    await disk.truncate(sizeBytes);
    const table = Buffer.alloc(sectorBytes - partitionTableAt);
    table.set([0x80, 0, 0, 0, 0x83], 0);
    table.writeUInt32LE(volumeOffsetBytes / sectorBytes, 8);
    table.writeUInt32LE((sizeBytes - volumeOffsetBytes) / sectorBytes, 12);
    table.set([0x55, 0xaa], table.length - 2);
    await disk.write(table, 0, table.length, partitionTableAt);
    await disk.write(Buffer.from(magicHex, 'hex'), 0, 2, magicAt);
    if (os) await writeArea(disk, osAreaAt, os);
  });
}

export interface PartitionFound {
  readonly partition: number;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  readonly type: 'ext4' | null;
}

/** The partitions in the disk's table, and what the signature at each volume's place says. */
export async function readPartitions(path: string): Promise<PartitionFound[]> {
  return withDisk(path, 'r', async (disk) => {
    const sector = await readAt(disk, 0, sectorBytes);
    if (sector.readUInt16LE(510) !== 0xaa55) return [];
    const found: PartitionFound[] = [];
    for (let index = 0; index < 4; index++) {
      const entry = sector.subarray(partitionTableAt + 16 * index, partitionTableAt + 16 * (index + 1));
      const offsetBytes = entry.readUInt32LE(8) * sectorBytes;
      const sizeBytes = entry.readUInt32LE(12) * sectorBytes;
      if (sizeBytes === 0) continue;
      const magic = await readAt(disk, offsetBytes + 1024 + 56, 2);
      const type = magic.toString('hex') === magicHex ? 'ext4' : null;
      found.push({ partition: index + 1, offsetBytes, sizeBytes, type });
    }
    return found;
  });
}

/** The signature bytes of a volume that begins at `offsetBytes`. */
export function signaturePieces(offsetBytes: number): SignaturePiece[] {
  return [{ offsetBytes: offsetBytes + 1024 + 56, hex: magicHex }];
}

/** Writes the pieces, or zeros in their place. */
export async function writePieces(path: string, pieces: readonly SignaturePiece[], present: boolean): Promise<boolean> {
  return withDisk(path, 'r+', async (disk) => {
    let changed = false;
    for (const piece of pieces) {
      const bytes = Buffer.from(piece.hex, 'hex');
      const wanted = present ? bytes : Buffer.alloc(bytes.length);
      if ((await readAt(disk, piece.offsetBytes, bytes.length)).equals(wanted)) continue;
      await disk.write(wanted, 0, wanted.length, piece.offsetBytes);
      changed = true;
    }
    return changed;
  });
}

/** The operating system on the disk; null where there is none. */
export async function readOs(path: string): Promise<OsArea | null> {
  return withDisk(path, 'r', (disk) => readArea<OsArea>(disk, osAreaAt));
}

export async function writeOs(path: string, os: OsArea): Promise<void> {
  await withDisk(path, 'r+', (disk) => writeArea(disk, osAreaAt, os));
}

/** The service's last record; null before its first. `whole`: the digest fits, so that no write was torn. */
export async function readCounter(path: string): Promise<(CounterRecord & { whole: boolean }) | null> {
  const record = await withDisk(path, 'r', (disk) => readArea<CounterRecord>(disk, serviceAreaAt));
  return record && { ...record, whole: record.digest === digestOf(record.counter, record.at) };
}

/** Writes the service's record and the data block that goes with it. */
export async function writeCounter(path: string, counter: number, at: string): Promise<void> {
  await withDisk(path, 'r+', async (disk) => {
    const { size } = await disk.stat();
    const slots = Math.floor((size - dataAt) / blockBytes);
    const block = Buffer.alloc(blockBytes);
    for (let offset = 0; offset < blockBytes; offset += 8) block.writeBigUInt64LE(BigInt(counter), offset);
    await disk.write(block, 0, blockBytes, dataAt + (counter % slots) * blockBytes);
    await writeArea(disk, serviceAreaAt, { counter, at, digest: digestOf(counter, at) } satisfies CounterRecord);
  });
}

/** A digest for each block of the file; two lists tell which blocks changed in between. */
export async function blockDigests(path: string): Promise<string[]> {
  return withDisk(path, 'r', async (disk) => {
    const { size } = await disk.stat();
    const bytes = await readAt(disk, 0, size);
    const digests: string[] = [];
    for (let offset = 0; offset < size; offset += blockBytes) {
      const block = bytes.subarray(offset, offset + blockBytes);
      digests.push(createHash('sha256').update(block).digest('base64url').slice(0, 16));
    }
    return digests;
  });
}

export async function fileSizeBytes(path: string): Promise<number | undefined> {
  return stat(path).then(
    (found) => found.size,
    () => undefined,
  );
}

function digestOf(counter: number, at: string): string {
  return createHash('sha256').update(`${counter} ${at}`).digest('hex');
}

async function withDisk<T>(path: string, flags: 'r' | 'r+' | 'w+', work: (disk: FileHandle) => Promise<T>): Promise<T> {
  const disk = await open(path, flags).catch((cause: NodeJS.ErrnoException) => {
    throw new PermanentError(
      {
        what: `disk ${path} cannot be opened`,
        found: cause.code ?? cause.message,
        needed: 'the file that was registered',
      },
      { cause },
    );
  });
  try {
    return await work(disk);
  } finally {
    await disk.close();
  }
}

async function readAt(disk: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  await disk.read(buffer, 0, length, offset);
  return buffer;
}

async function writeArea(disk: FileHandle, offset: number, value: unknown): Promise<void> {
  const block = Buffer.alloc(blockBytes);
  block.write(JSON.stringify(value), 'utf8');
  await disk.write(block, 0, blockBytes, offset);
}

async function readArea<T>(disk: FileHandle, offset: number): Promise<T | null> {
  const text = (await readAt(disk, offset, blockBytes)).toString('utf8').replace(/\0+$/, '');
  if (!text.startsWith('{')) return null;
  return JSON.parse(text) as T;
}

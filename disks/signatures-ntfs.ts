/**
 * NTFS's second boot sector, from which Windows and its tools repair the first: the name in it is a signature too.
 *
 * It lies behind the last sector that the filesystem counts, which is the last of the partition; where the partition is
 * larger than the filesystem it lies in between, and with sectors of 4096 bytes at the beginning of the last one.
 */
import { open } from 'node:fs/promises';
import type { SignaturePiece } from '../model/replica';
import type { VolumePlace } from './signatures-layout';

export const bootSectorBytes = 512;
const oemIdAt = 3;
const oemId = Buffer.from('NTFS    ', 'latin1');
const sectorSizes = [512, 1024, 2048, 4096];

/** Offsets in the volume where its boot sector says that the copy can be; the name in it need not be there. */
export async function ntfsMirrorPlaces(copy: string, volume: VolumePlace): Promise<number[]> {
  const boot = await read(copy, 0, bootSectorBytes);
  const sectorBytes = boot.readUInt16LE(0x0b);
  const sectors = boot.readBigUInt64LE(0x28);
  const places = [volume.sizeBytes - bootSectorBytes];
  if (sectorSizes.includes(sectorBytes)) {
    places.push(volume.sizeBytes - sectorBytes);
    if (sectors < BigInt(Number.MAX_SAFE_INTEGER) / 4096n) places.push(Number(sectors) * sectorBytes);
  }
  const fits = (place: number) => place >= bootSectorBytes && place + bootSectorBytes <= volume.sizeBytes;
  return [...new Set(places)].filter(fits).sort((a, b) => a - b);
}

/** The pieces at those places that hold the name. */
export async function ntfsMirrors(copy: string, places: readonly number[]): Promise<SignaturePiece[]> {
  const pieces: SignaturePiece[] = [];
  for (const place of places) {
    const bytes = await read(copy, place + oemIdAt, oemId.length);
    if (bytes.equals(oemId)) pieces.push({ offsetBytes: place + oemIdAt, hex: bytes.toString('hex') });
  }
  return pieces;
}

async function read(path: string, at: number, lengthBytes: number): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const bytes = Buffer.alloc(lengthBytes);
    await file.read(bytes, 0, lengthBytes, at);
    return bytes;
  } finally {
    await file.close();
  }
}

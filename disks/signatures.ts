/**
 * The few bytes that make a volume recognisable: found, taken out and put back.
 *
 * Which bytes they are is libblkid's knowledge, not ours: `wipefs` (util-linux) is let loose on a scratch copy of the
 * volume's first and last regions and prints what it erased, which is by definition all that blkid recognises a volume
 * by: ext 0xEF53 at 0x438, XFSB, "LVM2 001", both LUKS headers, _BHRfS_M at 0x10040, the NTFS OEM id, SWAPSPACE2, FAT's
 * three. NTFS's second boot sector is not blkid's to find and is added here (signatures-ntfs.ts).
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { SignaturePiece, VolumeSignature } from '../model/replica';
import { limitsFor } from '../programs/limits';
import { runProgram } from '../programs/run';
import type { VolumeFound } from './contract';
import { copyWindow, createSparse, withScratch, type ImageOptions, type ImageRef } from './signatures-image';
import { readLayout, type Extent, type VolumePlace } from './signatures-layout';
import { bootSectorBytes, ntfsMirrorPlaces, ntfsMirrors } from './signatures-ntfs';

export { clearPieces, writePieces, type ImageOptions, type ImageRef } from './signatures-image';
export { readLayout, type DiskLayout, type Extent, type VolumePlace } from './signatures-layout';

export interface ProbedVolume extends VolumeFound {
  /** What would have to be cleared so that blkid no longer knows the volume; empty where it does not know it. */
  readonly pieces: readonly SignaturePiece[];
}

/** LUKS2's second header lies at 4 MiB at the most (cryptsetup's format description, section 2.2). */
const headBytes = 4 * 1024 * 1024 + 64 * 1024;
/** RAID, ZFS and others keep theirs at the end of the volume. */
const tailBytes = 1024 * 1024;
/** Partition tables are the layout, not a volume's signature; wipefs prints them too. */
const tableTypes = [
  'dos',
  'gpt',
  'PMBR',
  'mac',
  'bsd',
  'sun',
  'sgi',
  'aix',
  'unixware',
  'solaris_x86',
  'ultrix',
  'atari',
];

/** Volumes of the disk and what blkid says of each, by offset. */
export async function findVolumes(image: ImageRef, options: ImageOptions = {}): Promise<ProbedVolume[]> {
  const layout = await readLayout(image, options);
  const found: ProbedVolume[] = [];
  for (const volume of layout.volumes) found.push(await probeVolume(image, volume, [], options));
  return found;
}

/**
 * What one volume is, with `patch` put over the bytes of the image first: bytes that were taken out of a lower layer
 * and that the volume has in truth.
 */
export async function probeVolume(
  image: ImageRef,
  volume: VolumePlace,
  patch: readonly SignaturePiece[] = [],
  options: ImageOptions = {},
): Promise<ProbedVolume> {
  return withScratch(async (folder) => {
    const copy = join(folder, 'volume');
    await createSparse(copy, volume.sizeBytes);
    for (const region of signatureRegions(volume)) {
      const targetOffsetBytes = region.offsetBytes - volume.offsetBytes;
      await copyWindow(image, { ...region, target: copy, targetOffsetBytes }, options);
    }
    const mirrors = await ntfsMirrorPlaces(copy, volume);
    for (const place of mirrors.filter((one) => !isInside(one, volume))) {
      const window = { offsetBytes: volume.offsetBytes + place, lengthBytes: bootSectorBytes };
      await copyWindow(image, { ...window, target: copy, targetOffsetBytes: place }, options);
    }
    await patchFile(copy, volume, patch);
    const type = await blkidType(copy, options);
    const mirrored = await ntfsMirrors(copy, mirrors);
    const erased = await eraseSignatures(copy, options);
    const pieces = [...erased.pieces, ...(erased.types.includes('ntfs') ? mirrored : [])].map((piece) => ({
      ...piece,
      offsetBytes: piece.offsetBytes + volume.offsetBytes,
    }));
    return { ...volume, type: type ?? erased.types[0] ?? null, pieces };
  });
}

/** The regions of the disk in which that volume's signatures can be. */
export function signatureRegions(volume: VolumePlace): Extent[] {
  if (volume.sizeBytes <= headBytes + tailBytes) {
    return [{ offsetBytes: volume.offsetBytes, lengthBytes: volume.sizeBytes }];
  }
  return [
    { offsetBytes: volume.offsetBytes, lengthBytes: headBytes },
    { offsetBytes: volume.offsetBytes + volume.sizeBytes - tailBytes, lengthBytes: tailBytes },
  ];
}

/** What a manifest keeps of the volumes that are recognisable. */
export function signaturesOf(volumes: readonly ProbedVolume[]): VolumeSignature[] {
  return volumes
    .filter((volume) => volume.pieces.length > 0)
    .map((volume) => ({
      partition: volume.partition,
      volumeOffsetBytes: volume.offsetBytes,
      volumeSizeBytes: volume.sizeBytes,
      type: volume.type ?? 'unknown',
      pieces: volume.pieces,
    }));
}

/** All pieces of all volumes, for writePieces and clearPieces. */
export function signaturePieces(signatures: readonly VolumeSignature[]): SignaturePiece[] {
  return signatures.flatMap((signature) => signature.pieces);
}

/** Whether a boot sector there is among the regions that are copied anyway. */
const isInside = (place: number, volume: VolumePlace): boolean =>
  signatureRegions(volume).some(({ offsetBytes, lengthBytes }) => {
    const at = volume.offsetBytes + place;
    return at >= offsetBytes && at + bootSectorBytes <= offsetBytes + lengthBytes;
  });

async function patchFile(copy: string, volume: VolumePlace, patch: readonly SignaturePiece[]): Promise<void> {
  const end = volume.offsetBytes + volume.sizeBytes;
  const inside = patch.filter(
    (piece) => piece.offsetBytes >= volume.offsetBytes && piece.offsetBytes + piece.hex.length / 2 <= end,
  );
  if (inside.length === 0) return;
  const file = await open(copy, 'r+');
  try {
    for (const piece of inside) {
      const bytes = Buffer.from(piece.hex, 'hex');
      await file.write(bytes, 0, bytes.length, piece.offsetBytes - volume.offsetBytes);
    }
  } finally {
    await file.close();
  }
}

/** blkid's TYPE; null where nothing, or more than one thing, is recognised (exit codes 2 and 8 of blkid -p). */
async function blkidType(file: string, options: ImageOptions): Promise<string | null> {
  const { stdout } = await runProgram('blkid', ['-p', '-o', 'value', '-s', 'TYPE', file], {
    okExitCodes: [0, 2, 8],
    timeoutMs: 30_000,
    signal: options.signal,
    limits: limitsFor.tables,
  });
  return stdout.trim() === '' ? null : stdout.trim();
}

async function eraseSignatures(
  file: string,
  options: ImageOptions,
): Promise<{ types: string[]; pieces: SignaturePiece[] }> {
  const how = { timeoutMs: 30_000, signal: options.signal, limits: limitsFor.tables };
  const { stdout } = await runProgram('wipefs', ['--all', file], how);
  const erased = [...stdout.matchAll(/erased at offset 0x([0-9a-f]+) \(([^)]+)\): ([0-9a-f ]+)/g)]
    .map(([, offset, type, bytes]) => ({
      type: type!,
      piece: { offsetBytes: Number.parseInt(offset!, 16), hex: bytes!.replaceAll(' ', '') },
    }))
    .filter(({ type }) => !tableTypes.includes(type));
  return { types: erased.map(({ type }) => type), pieces: erased.map(({ piece }) => piece) };
}

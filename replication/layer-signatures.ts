/**
 * Taking the signatures out of a new layer, so that for every point
 *
 *   bytes of its chain + its pieces put back = bytes of the source at that moment        (exact, tested)
 *   blkid on its chain finds no volume
 *
 * A layer holds only what changed. A piece that the layer does not hold was taken out of a lower one and is inherited from
 * the parent's manifest; one whose volume is no longer there (repartitioned, made anew) is written back as plain data.
 */
import { PermanentError } from '../model/errors';
import type { PointDisk, SignaturePiece, VolumeSignature } from '../model/replica';
import {
  clearPieces,
  probeVolume,
  readLayout,
  signaturePieces,
  signatureRegions,
  signaturesOf,
  writePieces,
  type DiskLayout,
  type Extent,
  type ImageRef,
  type ProbedVolume,
  type VolumePlace,
} from '../disks/signatures';
import { ownExtents } from './layers';

interface Options {
  readonly signal?: AbortSignal | undefined;
}

export interface Taken {
  readonly signatures: readonly VolumeSignature[];
  readonly layout: DiskLayout;
}

/** What is known of the point beneath; `layout` saves reading the partition tables when they did not change. */
export interface Beneath {
  readonly disk: PointDisk;
  readonly layout: DiskLayout | undefined;
}

/** Takes the signatures out of the layer (its chain must be in place) and returns what its manifest has to keep. */
export async function takeSignatures(file: string, beneath: Beneath | null, options: Options = {}): Promise<Taken> {
  const image: ImageRef = { uri: file, format: 'qcow2' };
  const held = await ownExtents(file, options);
  const inherited = signaturePieces(beneath?.disk.signatures ?? []).flatMap((piece) => outside(piece, held));
  const known = beneath?.layout;
  const sameLayout = known !== undefined && !known.tables.some((table) => touches(table, held));
  const layout = sameLayout ? known : await readLayout(image, options);
  const probed: ProbedVolume[] = [];
  const kept: VolumeSignature[] = [];
  for (const volume of layout.volumes) {
    const before = beneath?.disk.signatures.find((signature) => isOf(signature, volume));
    const changed = !sameLayout || signatureRegions(volume).some((region) => touches(region, held));
    if (changed) probed.push(await probeVolume(image, volume, inherited, options));
    else if (before !== undefined) kept.push(before);
  }
  const signatures = [...kept, ...signaturesOf(probed)].sort((a, b) => a.volumeOffsetBytes - b.volumeOffsetBytes);
  await settleBytes(image, signaturePieces(signatures), inherited, options);
  for (const volume of probed) await assertUnknown(image, volume, options);
  return { signatures, layout };
}

/** Puts back what was taken out of a lower layer and is no signature any more, then clears what is one now. */
async function settleBytes(
  image: ImageRef,
  wanted: readonly SignaturePiece[],
  inherited: readonly SignaturePiece[],
  options: Options,
): Promise<void> {
  const ranges = wanted.map(rangeOf);
  const forgotten = inherited.flatMap((piece) => outside(piece, ranges));
  await writePieces(image, forgotten, options);
  const absent = inherited.map(rangeOf);
  await clearPieces(
    image,
    wanted.flatMap((piece) => outside(piece, absent)),
    options,
  );
}

/** Independent of how the bytes were found: blkid by offset must not know the volume any more. */
async function assertUnknown(image: ImageRef, volume: VolumePlace, options: Options): Promise<void> {
  const { type } = await probeVolume(image, volume, [], options);
  if (type === null) return;
  throw new PermanentError({
    what: `volume ${volume.partition} of ${image.uri} can still be recognised after its signature was taken out`,
    found: `blkid TYPE=${type}`,
    needed: 'no TYPE',
    remedy: 'The point is not kept. Report the volume type; until then exclude the disk from protection.',
  });
}

/** The parts of the piece that lie in none of the ranges. */
export function outside(piece: SignaturePiece, ranges: readonly Extent[]): SignaturePiece[] {
  const bytes = Buffer.from(piece.hex, 'hex');
  const parts: SignaturePiece[] = [];
  let start: number | undefined;
  for (let index = 0; index <= bytes.length; index++) {
    const at = piece.offsetBytes + index;
    const free = index < bytes.length && !ranges.some((r) => at >= r.offsetBytes && at < r.offsetBytes + r.lengthBytes);
    if (free) start ??= index;
    else if (start !== undefined) {
      parts.push({ offsetBytes: piece.offsetBytes + start, hex: bytes.subarray(start, index).toString('hex') });
      start = undefined;
    }
  }
  return parts;
}

const rangeOf = (piece: SignaturePiece): Extent => ({
  offsetBytes: piece.offsetBytes,
  lengthBytes: piece.hex.length / 2,
});

const isOf = (signature: VolumeSignature, volume: VolumePlace) =>
  signature.volumeOffsetBytes === volume.offsetBytes && signature.volumeSizeBytes === volume.sizeBytes;

const touches = (extent: Extent, held: readonly Extent[]) =>
  held.some(
    (own) =>
      own.offsetBytes < extent.offsetBytes + extent.lengthBytes &&
      extent.offsetBytes < own.offsetBytes + own.lengthBytes,
  );

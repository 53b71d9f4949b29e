/** Signatures put into a run's overlay and taken out again, each verified by asking blkid at the volume's offset. */
import { OperatorError } from '../model/errors';
import type { TakenDisk, VolumeSignature } from '../model/replica';
import type { CallOptions } from '../platforms/contract';
import type { VolumeFound } from './contract';
import { imageOf } from './disk-address';
import { clearPieces, findVolumes, signaturePieces, writePieces } from './signatures';

/**
 * Writes the manifest's pieces into the overlay; returns what blkid then says of every volume.
 *
 * @throws OperatorError when a volume is not recognised as what the manifest names; TransientError when the disk cannot
 * be reached.
 */
export async function applyVerified(disk: TakenDisk, options: CallOptions = {}): Promise<VolumeFound[]> {
  await writePieces(imageOf(disk), signaturePieces(disk.signatures), options);
  const volumes = (await findVolumes(imageOf(disk), options)).map(({ pieces: _pieces, ...volume }) => volume);
  for (const signature of disk.signatures) {
    const found = volumeAt(volumes, signature);
    if (found?.type === signature.type) continue;
    throw mismatch(disk, signature, found?.type ?? 'nothing', signature.type);
  }
  return volumes;
}

/** Undo of applyVerified. @throws OperatorError when blkid still recognises a volume. */
export async function removeVerified(disk: TakenDisk, options: CallOptions = {}): Promise<void> {
  await clearPieces(imageOf(disk), signaturePieces(disk.signatures), options);
  const volumes = await findVolumes(imageOf(disk), options);
  for (const signature of disk.signatures) {
    const found = volumeAt(volumes, signature);
    if (found !== undefined && found.type !== null) throw mismatch(disk, signature, found.type, 'nothing');
  }
}

const volumeAt = (volumes: readonly VolumeFound[], signature: VolumeSignature) =>
  volumes.find((volume) => volume.offsetBytes === signature.volumeOffsetBytes);

const mismatch = (disk: TakenDisk, signature: VolumeSignature, found: string, needed: string) =>
  new OperatorError({
    what: `partition ${signature.partition} of ${disk.diskId} is not recognised as it should be`,
    found,
    needed,
    remedy: `Look at the overlay with blkid -p -O ${signature.volumeOffsetBytes}; if the manifest of point ${disk.pointId} is wrong, choose another point.`,
  });

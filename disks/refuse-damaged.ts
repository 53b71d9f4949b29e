/** Disks that cannot be whole are refused before anything is started on them. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OperatorError } from '../model/errors';
import type { TakenDisk } from '../model/replica';
import type { CallOptions } from '../platforms/contract';
import { imageOf } from './disk-address';
import { partitionTableProblem } from './partition-table';
import { copyWindow, createSparse, imageSizeBytes, withScratch } from './signatures-image';

const sectorBytes = 512;
const headBytes = 2 * sectorBytes;

/**
 * Looks at each disk's size and partition table. Touches nothing.
 *
 * @throws OperatorError naming the disk and what is wrong with it; TransientError when a disk cannot be reached.
 */
export async function refuseDamaged(disks: readonly TakenDisk[], options: CallOptions = {}): Promise<void> {
  for (const disk of disks) {
    const sizeBytes = await imageSizeBytes(imageOf(disk), options);
    if (sizeBytes < disk.virtualSizeBytes) {
      throw new OperatorError({
        what: `${disk.diskId} is cut off`,
        found: `${sizeBytes} bytes`,
        needed: `${disk.virtualSizeBytes} bytes, as the recovery point says`,
        remedy: otherPoint(disk),
      });
    }
    const problem = sizeBytes < 2 * headBytes ? null : await tableProblem(disk, sizeBytes, options);
    if (problem === null) continue;
    throw new OperatorError({
      what: `the partition table of ${disk.diskId} is damaged, or the disk is cut off`,
      found: problem,
      needed: 'a partition table that is whole',
      remedy: `${otherPoint(disk)} Or repair the overlay (gdisk and testdisk can), then decide "retry".`,
    });
  }
}

const otherPoint = (disk: TakenDisk) =>
  `Choose another recovery point than ${disk.pointId}; if all are so, the disk is damaged at the source.`;

async function tableProblem(disk: TakenDisk, sizeBytes: number, options: CallOptions): Promise<string | null> {
  return withScratch(async (folder) => {
    const copy = join(folder, 'sectors');
    await createSparse(copy, headBytes + sectorBytes);
    const window = { offsetBytes: 0, lengthBytes: headBytes, target: copy, targetOffsetBytes: 0 };
    await copyWindow(imageOf(disk), window, options);
    const end = Math.floor(sizeBytes / sectorBytes) * sectorBytes;
    const tail = { offsetBytes: end - sectorBytes, lengthBytes: sectorBytes };
    await copyWindow(imageOf(disk), { ...window, ...tail, targetOffsetBytes: headBytes }, options);
    const bytes = await readFile(copy);
    return partitionTableProblem(bytes.subarray(0, headBytes), bytes.subarray(headBytes), sizeBytes);
  });
}

/** What is wrong with a disk's partition table, from its first sectors and its last: MBR, and GPT with its checksums (UEFI 2.10, 5.3). */
import { crc32 } from 'node:zlib';

const sectorBytes = 512;
const gptSignature = 'EFI PART';
/** MBR types: what protects a GPT, and the extended partitions that hold others. */
const protective = 0xee;

/**
 * Null where nothing is wrong, or where there is no table at all.
 *
 * @param head the first two sectors; @param last the last sector.
 */
export function partitionTableProblem(head: Buffer, last: Buffer, sizeBytes: number): string | null {
  const entries = mbrEntries(head);
  const gpt = head.subarray(sectorBytes, 2 * sectorBytes);
  const primary = gptProblem(gpt);
  const isGpt = entries.some(({ type }) => type === protective);
  if (isGpt) {
    if (primary !== null)
      return `a GPT whose header ${primary}${gptProblem(last) === null ? '; its copy at the end of the disk is whole' : ''}`;
    return gptBeyond(gpt, last, sizeBytes);
  }
  if (entries.length === 0) {
    return gptProblem(last) === null ? 'no partition table, but the copy of one (GPT) at the end of the disk' : null;
  }
  const beyond = entries.find(({ end }) => end * sectorBytes > sizeBytes);
  return beyond === undefined
    ? null
    : `partition ${beyond.number} ends at byte ${beyond.end * sectorBytes} of a disk of ${sizeBytes} bytes`;
}

interface MbrEntry {
  readonly number: number;
  readonly type: number;
  /** First sector behind it. */
  readonly end: number;
}

/** Empty where it is no table: a boot sector of a filesystem has the same last two bytes. */
function mbrEntries(head: Buffer): MbrEntry[] {
  if (head.readUInt16LE(510) !== 0xaa55) return [];
  const raw = [0, 1, 2, 3].map((index) => head.subarray(446 + index * 16, 462 + index * 16));
  if (raw.some((entry) => entry[0] !== 0 && entry[0] !== 0x80)) return [];
  return raw.flatMap((entry, index) => {
    const [type, start, count] = [entry[4]!, entry.readUInt32LE(8), entry.readUInt32LE(12)];
    return type === 0 || count === 0 ? [] : [{ number: index + 1, type, end: start + count }];
  });
}

/** What is wrong with a GPT header; null for a whole one. */
function gptProblem(sector: Buffer): string | null {
  if (sector.toString('latin1', 0, 8) !== gptSignature) return 'is gone';
  const headerBytes = sector.readUInt32LE(12);
  if (headerBytes < 92 || headerBytes > sectorBytes) return 'is damaged';
  const header = Buffer.from(sector.subarray(0, headerBytes));
  header.writeUInt32LE(0, 16);
  return crc32(header) === sector.readUInt32LE(16) ? null : 'has a wrong checksum';
}

/** The header says where its copy is: behind the end of a disk that was cut off. */
function gptBeyond(gpt: Buffer, last: Buffer, sizeBytes: number): string | null {
  const copyAt = Number(gpt.readBigUInt64LE(32)) * sectorBytes;
  if (copyAt + sectorBytes > sizeBytes) {
    return `a GPT of a disk that was larger: its copy would be at byte ${copyAt} of a disk of ${sizeBytes} bytes`;
  }
  const atEnd = copyAt + sectorBytes === sizeBytes;
  const problem = atEnd ? gptProblem(last) : null;
  return problem === null ? null : `a GPT whose copy at the end of the disk ${problem}`;
}

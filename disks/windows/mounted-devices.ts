/**
 * Drive letters: the SYSTEM hive's MountedDevices names each volume by disk signature and offset (MBR) or by the
 * partition's GUID (GPT). The disks keep both, so letters stay right; they are compared, and only an entry that would
 * give the Windows volume another letter is changed. Pure.
 *
 * Facts: the layout of the values in Microsoft's and libguestfs' descriptions of MountedDevices.
 */
import { binaryValue, type RegistryEdit, type RegistryValue } from './registry-values';
import { guidBytes } from './wanted-registry';

/** A partition as both sides can name it. */
export interface PartitionIdentity {
  /** `disk0, partition 2`. */
  readonly place: string;
  /** What stands in MountedDevices for it; null where the disk has no signature of its own. */
  readonly identity: Buffer | null;
}

export interface LetterReport {
  readonly edits: readonly RegistryEdit[];
  readonly verified: readonly string[];
  readonly warnings: readonly string[];
}

export const mountedDevices = ['MountedDevices'] as const;

/** MBR: four bytes of the disk's signature, eight of the offset. */
export function mbrIdentity(diskSignature: string, offsetBytes: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32LE(Number.parseInt(diskSignature, 16) >>> 0, 0);
  bytes.writeBigUInt64LE(BigInt(offsetBytes), 4);
  return bytes;
}

/** GPT: a fixed text and the partition's GUID. */
export const gptIdentity = (partitionGuid: string): Buffer =>
  Buffer.concat([Buffer.from('DMIO:ID:', 'latin1'), guidBytes(partitionGuid)]);

const letterPattern = /^\\DosDevices\\([A-Z]):$/i;

/** `systemLetter`: the letter that Windows was installed with (SystemRoot in SOFTWARE). */
export function judgeLetters(
  entries: ReadonlyMap<string, RegistryValue>,
  partitions: readonly PartitionIdentity[],
  windowsVolume: PartitionIdentity,
  systemLetter: string,
): LetterReport {
  const letters = [...entries].flatMap(([name, value]) => {
    const letter = letterPattern.exec(name)?.[1]?.toUpperCase();
    return letter === undefined ? [] : [{ name, letter, bytes: value.bytes }];
  });
  const verified: string[] = [];
  const warnings: string[] = [];
  for (const { letter, bytes } of letters) {
    const partition = partitions.find(({ identity }) => identity?.equals(bytes));
    if (partition !== undefined) verified.push(`drive ${letter}: is ${partition.place}`);
    else if (isFixed(bytes))
      warnings.push(`drive ${letter}: names a partition that is on none of the disks; left as it is`);
  }
  return { ...repair(letters, windowsVolume, systemLetter), verified, warnings };
}

const isFixed = (bytes: Buffer) => bytes.length === 12 || bytes.toString('latin1', 0, 8) === 'DMIO:ID:';

/** The Windows volume keeps its letter: without it, or with two, nobody can log on. */
function repair(
  letters: readonly { name: string; letter: string; bytes: Buffer }[],
  { identity }: PartitionIdentity,
  systemLetter: string,
): { edits: RegistryEdit[] } {
  if (identity === null) return { edits: [] };
  const key = [...mountedDevices];
  const own = letters.find(({ letter }) => letter === systemLetter);
  const others = letters.filter(({ letter, bytes }) => letter !== systemLetter && bytes.equals(identity));
  const edits: RegistryEdit[] = others.map(({ name }) => ({ kind: 'delete-value', key, name }));
  if (own === undefined ? others.length === 0 : own.bytes.equals(identity)) return { edits };
  // Without any entry Windows gives letters anew; with a wrong one it would keep the wrong letter.
  const name = own?.name ?? `\\DosDevices\\${systemLetter}:`;
  return { edits: [...edits, { kind: 'set', key, name, value: binaryValue(identity) }] };
}

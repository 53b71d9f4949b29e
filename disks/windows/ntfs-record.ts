/**
 * What an NTFS volume says of its own state: the flags in the $VOLUME_INFORMATION attribute of file 3 ($Volume) of the
 * master file table. Layout: the NTFS documentation of the Linux-NTFS project. Read here, from bytes with known bounds,
 * because the appliance has no command for it.
 */

/** Where file record 3 lies on the volume; null where the boot sector is not one of NTFS. */
export function volumeRecordPlace(bootSector: Buffer): { offsetBytes: number; lengthBytes: number } | null {
  if (bootSector.length < 512 || bootSector.toString('latin1', 3, 11) !== 'NTFS    ') return null;
  const sectorBytes = bootSector.readUInt16LE(0x0b);
  const sectorsPerCluster = bootSector.readUInt8(0x0d);
  const clusterBytes = sectorBytes * (sectorsPerCluster > 0x80 ? 2 ** (256 - sectorsPerCluster) : sectorsPerCluster);
  const recordSize = bootSector.readInt8(0x40);
  const lengthBytes = recordSize < 0 ? 2 ** -recordSize : recordSize * clusterBytes;
  const table = bootSector.readBigUInt64LE(0x30) * BigInt(clusterBytes);
  if (![512, 1024, 2048, 4096].includes(lengthBytes) || table > BigInt(Number.MAX_SAFE_INTEGER) / 2n) return null;
  return { offsetBytes: Number(table) + 3 * lengthBytes, lengthBytes };
}

const volumeInformation = 0x70;
const endOfAttributes = 0xffffffff;
const dirtyFlag = 0x0001;

/** Whether Windows has marked the volume for a check; null where the record does not read as one. */
export function isDirty(bytes: Buffer): boolean | null {
  if (bytes.length < 512 || bytes.toString('latin1', 0, 4) !== 'FILE') return null;
  const record = withoutFixups(bytes);
  let at = record.readUInt16LE(0x14);
  while (at + 24 <= record.length) {
    const type = record.readUInt32LE(at);
    const length = record.readUInt32LE(at + 4);
    if (type === endOfAttributes || length < 24 || at + length > record.length) return null;
    if (type === volumeInformation) return flagsAt(record, at + record.readUInt16LE(at + 20));
    at += length;
  }
  return null;
}

/** NTFS keeps the last two bytes of each sector of a record in an array, and puts a counter in their place. */
function withoutFixups(bytes: Buffer): Buffer {
  const record = Buffer.from(bytes);
  const array = record.readUInt16LE(4);
  const sectors = record.readUInt16LE(6) - 1;
  for (let sector = 0; sector < sectors; sector += 1) {
    const from = array + 2 + sector * 2;
    const to = sector * 512 + 510;
    if (from + 2 <= record.length && to + 2 <= record.length) record.copy(record, to, from, from + 2);
  }
  return record;
}

/** Eight reserved bytes and two of the NTFS version come before the flags. */
function flagsAt(record: Buffer, content: number): boolean | null {
  return content + 12 > record.length ? null : (record.readUInt16LE(content + 10) & dirtyFlag) !== 0;
}

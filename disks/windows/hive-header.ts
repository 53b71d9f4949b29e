/**
 * The header of a registry hive: whether the file was written to its end. Layout: the Windows registry file format
 * specification of M. Suhanov.
 */

const headerBytes = 512;
/** Enough of a hive to judge it. */
export const hiveHeaderBytes = headerBytes;

/** What keeps the hive from being edited, in words; null where nothing does. `sizeBytes` is the file's. */
export function hiveProblem(header: Buffer, sizeBytes: number): string | null {
  if (sizeBytes < 4096 + 32 || header.length < headerBytes) return `a file of ${sizeBytes} bytes`;
  if (header.toString('latin1', 0, 4) !== 'regf') return 'a file without the mark of a hive';
  const first = header.readUInt32LE(4);
  const second = header.readUInt32LE(8);
  if (first !== second) return `sequence numbers ${first} and ${second}: changes are still in its transaction logs`;
  if (checksum(header) !== header.readUInt32LE(508)) return 'a header whose checksum does not fit';
  const blocks = header.readUInt32LE(40);
  return 4096 + blocks > sizeBytes ? `${sizeBytes} bytes of ${4096 + blocks}` : null;
}

/** Of a hive that is whole but was not written to its end: its transaction logs hold the rest. */
export const needsItsLogs = (header: Buffer): boolean =>
  header.length >= headerBytes &&
  header.toString('latin1', 0, 4) === 'regf' &&
  header.readUInt32LE(4) !== header.readUInt32LE(8);

function checksum(header: Buffer): number {
  let sum = 0;
  for (let at = 0; at < 508; at += 4) sum ^= header.readUInt32LE(at);
  const value = sum >>> 0;
  // 0 and all ones are never stored (same specification).
  if (value === 0) return 1;
  return value === 0xffffffff ? 0xfffffffe : value;
}

/**
 * Registry hives made for tests: an empty hive byte by byte (its layout is documented in the Windows registry file format
 * specification of M. Suhanov), filled by hivexregedit.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';

const none = 0xffffffff;
const blockBytes = 4096;
/** Offsets of cells are counted from the first block, whose own header takes 32 bytes. */
const rootCell = 0x20;
const rootCellBytes = 0x58;
const securityCell = rootCell + rootCellBytes;
const securityCellBytes = 0x30;

/** An empty hive: a root key, its security descriptor, and nothing else. */
export function emptyHive(): Buffer {
  const hive = Buffer.alloc(2 * blockBytes);
  writeHeader(hive.subarray(0, blockBytes));
  const block = hive.subarray(blockBytes);
  block.write('hbin', 0, 'latin1');
  block.writeUInt32LE(blockBytes, 8);
  writeRootKey(block.subarray(rootCell));
  writeSecurity(block.subarray(securityCell));
  const free = securityCell + securityCellBytes;
  block.writeInt32LE(blockBytes - free, free);
  return hive;
}

/** Sequence numbers and checksum of a hive's header; they differ in a hive that was not written to its end. */
export function setSequences(hive: Buffer, first: number, second: number): Buffer {
  hive.writeUInt32LE(first, 4);
  hive.writeUInt32LE(second, 8);
  hive.writeUInt32LE(checksumOf(hive), 508);
  return hive;
}

/** A hive file with what the text says, in the form that regedit writes. */
export function makeHive(path: string, text: string): void {
  writeFileSync(path, emptyHive());
  execFileSync('hivexregedit', ['--merge', path], { input: text });
}

/** A key and all beneath it, as hivexregedit reads it. */
export function exportKey(path: string, key: string): string {
  return execFileSync('hivexregedit', ['--export', '--unsafe-printable-strings', path, key], { encoding: 'utf8' });
}

function writeHeader(header: Buffer): void {
  header.write('regf', 0, 'latin1');
  header.writeUInt32LE(1, 20);
  header.writeUInt32LE(5, 24);
  header.writeUInt32LE(1, 32);
  header.writeUInt32LE(rootCell, 36);
  header.writeUInt32LE(blockBytes, 40);
  header.writeUInt32LE(1, 44);
  setSequences(header, 1, 1);
}

function checksumOf(header: Buffer): number {
  let sum = 0;
  for (let at = 0; at < 508; at += 4) sum ^= header.readUInt32LE(at);
  return sum >>> 0;
}

function writeRootKey(cell: Buffer): void {
  cell.writeInt32LE(-rootCellBytes, 0);
  cell.write('nk', 4, 'latin1');
  // Root key, not to be deleted, name in one byte per character.
  cell.writeUInt16LE(0x2c, 6);
  cell.writeUInt32LE(none, 20);
  for (const at of [32, 36, 44, 52]) cell.writeUInt32LE(none, at);
  cell.writeUInt32LE(securityCell, 48);
  cell.writeUInt16LE(4, 76);
  cell.write('ROOT', 80, 'latin1');
}

function writeSecurity(cell: Buffer): void {
  cell.writeInt32LE(-securityCellBytes, 0);
  cell.write('sk', 4, 'latin1');
  cell.writeUInt32LE(securityCell, 8);
  cell.writeUInt32LE(securityCell, 12);
  cell.writeUInt32LE(1, 16);
  cell.writeUInt32LE(20, 20);
  // A self-relative descriptor with neither owner nor lists.
  cell.writeUInt8(1, 24);
  cell.writeUInt16LE(0x8000, 26);
}

/**
 * The first bytes of a layer, read without opening it as an image: QEMU follows what a header names (a file beneath it,
 * a data file, an NBD server, a device), so whatever a header names is judged before QEMU sees it.
 *
 * Facts: QEMU's docs/interop/qcow2.txt. Read by ourselves because `qemu-img info` opens a data file that the header names.
 */
import { constants, type BigIntStats } from 'node:fs';
import { open, lstat, type FileHandle } from 'node:fs/promises';
import { kindOf } from './durable';

export interface LayerHeader {
  readonly fileBytes: number;
  readonly virtualSizeBytes: number;
  /** What the header names beneath the layer, as it stands there; null for a base. */
  readonly backing: string | null;
}

/** Why a file is no layer, in words: found and needed. */
export interface LayerFault {
  readonly found: string;
  readonly needed: string;
}

const magic = 0x514649fb;
const headerBytes = 104;
const version2HeaderBytes = 72;
/** Bits 0 and 1: in use or damaged when last closed. Bit 3: compression type. Bit 4: extended L2 entries. */
const knownIncompatible = 0b1_1011n;
const corruptBit = 0b10n;
const dataFileBit = 0b100n;
/** QEMU takes no longer names (block/qcow2.c). */
const longestName = 1023;

/** Read once for every state of a file: a replica of a hundred points is looked at twice a second. */
const seen = new Map<string, { state: string; result: LayerHeader | LayerFault }>();
const mostSeen = 4096;

/** The header of the layer, or why it is none. Never waits on a pipe, never follows a link. */
export async function readLayerHeader(path: string): Promise<LayerHeader | LayerFault> {
  const stats = await lstat(path, { bigint: true }).catch((error: NodeJS.ErrnoException) => ({ code: error.code }));
  if ('code' in stats) return { found: stats.code === 'ENOENT' ? 'missing' : String(stats.code), needed: 'the layer' };
  const state = [stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join();
  const before = seen.get(path);
  if (before?.state === state) return before.result;
  const result = await readNow(path, stats);
  if (seen.size >= mostSeen) seen.delete(seen.keys().next().value!);
  seen.set(path, { state, result });
  return result;
}

export const isFault = (result: LayerHeader | LayerFault): result is LayerFault => 'found' in result;

async function readNow(path: string, stats: BigIntStats): Promise<LayerHeader | LayerFault> {
  if (!stats.isFile()) return { found: kindOf(stats), needed: 'a regular file' };
  let file: FileHandle | undefined;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    return await parse(file, Number(stats.size));
  } catch (error) {
    return { found: (error as NodeJS.ErrnoException).code ?? String(error), needed: 'a file that can be read' };
  } finally {
    await file?.close();
  }
}

async function parse(file: FileHandle, fileBytes: number): Promise<LayerHeader | LayerFault> {
  const needed = 'a whole qcow2 image';
  const header = Buffer.alloc(headerBytes);
  const { bytesRead } = await file.read(header, 0, headerBytes, 0);
  if (bytesRead < headerBytes) return { found: `${fileBytes} bytes, cut short`, needed };
  const version = header.readUInt32BE(4);
  if (header.readUInt32BE(0) !== magic || (version !== 2 && version !== 3)) return { found: 'another format', needed };
  const features = version === 2 ? 0n : header.readBigUInt64BE(version2HeaderBytes);
  if ((features & dataFileBit) !== 0n) {
    return { found: 'a header that keeps its data in another file', needed: 'a layer that holds its own data' };
  }
  if ((features & corruptBit) !== 0n) return { found: 'an image that QEMU has marked as corrupt', needed };
  if ((features & ~knownIncompatible) !== 0n) return { found: `qcow2 features 0x${features.toString(16)}`, needed };
  if (header.readUInt32BE(32) !== 0) return { found: 'an encrypted image', needed: 'an image that is not encrypted' };
  const virtualSize = header.readBigUInt64BE(24);
  if (virtualSize === 0n || virtualSize > BigInt(Number.MAX_SAFE_INTEGER)) {
    return { found: `a disk of ${virtualSize} bytes`, needed: `1 to ${Number.MAX_SAFE_INTEGER} bytes` };
  }
  const tablesEnd = header.readBigUInt64BE(40) + BigInt(header.readUInt32BE(36)) * 8n;
  if (tablesEnd > BigInt(fileBytes)) return { found: `${fileBytes} bytes, cut short`, needed };
  const length = header.readUInt32BE(16);
  const offset = Number(header.readBigUInt64BE(8));
  if (length > longestName || offset + length > fileBytes) return { found: 'a damaged name beneath it', needed };
  const backing = offset === 0 || length === 0 ? null : await nameAt(file, offset, length);
  return { fileBytes, virtualSizeBytes: Number(virtualSize), backing };
}

async function nameAt(file: FileHandle, offset: number, length: number): Promise<string> {
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await file.read(bytes, 0, length, offset);
  return bytes.subarray(0, bytesRead).toString('utf8');
}

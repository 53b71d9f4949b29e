/**
 * Whether anything is on a disk: what libblkid recognises, and bytes that are not zero in its first and last MiB and in
 * samples in between. Empty therefore means blank, not merely unrecognised.
 */
import { open, type FileHandle } from 'node:fs/promises';
import { PermanentError, TransientError } from '../../model/errors';
import { formatSize } from '../../model/durations';
import { printable } from '../../model/names';
import { limitsFor } from '../../programs/limits';
import { ProgramError, runProgram } from '../../programs/run';
import type { CallOptions } from '../contract';
import type { DeviceFacts } from './device';
import { headBytes, sectorBytes } from './marks';

export interface DiskContent {
  /** In words: `gpt, ext4 "data"`, `bytes at 12 GiB that nothing recognises`; null where it is blank. */
  readonly description: string | null;
  readonly firstSector: Buffer;
  readonly head: Buffer;
}

const samples = 64;
const sampleBytes = 64 * 1024;

/** Looks without changing anything. @throws TransientError when the disk cannot be read. */
export async function readContent(facts: DeviceFacts, options: CallOptions = {}): Promise<DiskContent> {
  const signatures = await readSignatures(facts, options);
  const file = await open(facts.path, 'r').catch((cause: Error) => {
    throw new TransientError({ what: `the disk ${facts.device} cannot be read`, found: cause.message }, { cause });
  });
  try {
    const head = await readAt(file, 0, Math.min(headBytes, facts.sizeBytes));
    const firstSector = head.subarray(0, sectorBytes);
    if (signatures.length > 0) return { description: signatures.join(', '), firstSector, head };
    const offset = isBlank(head) ? await firstByte(file, facts.sizeBytes, options) : 0;
    const place = offset === 0 ? 'at its beginning' : `at ${formatSize(offset ?? 0)}`;
    return { description: offset === null ? null : `bytes ${place} that nothing recognises`, firstSector, head };
  } finally {
    await file.close();
  }
}

async function readSignatures(facts: DeviceFacts, options: CallOptions): Promise<string[]> {
  const args = ['--no-act', '--json', '--output', 'OFFSET,TYPE,LABEL', '--', facts.path];
  try {
    const how = { timeoutMs: 60_000, signal: options.signal, limits: limitsFor.tables };
    const { stdout } = await runProgram('wipefs', args, how);
    return parseWipefs(stdout);
  } catch (cause) {
    options.signal?.throwIfAborted();
    if (!(cause instanceof ProgramError)) throw cause;
    throw new TransientError({ what: `the disk ${facts.device} cannot be read`, found: cause.shortMessage }, { cause });
  }
}

/** Of `wipefs --json`: nothing at all where there is nothing. Labels are foreign text. */
export function parseWipefs(text: string): string[] {
  if (text.trim() === '') return [];
  const parsed = JSON.parse(text) as { signatures?: { type?: string | null; label?: string | null }[] };
  if (!Array.isArray(parsed.signatures)) {
    throw new PermanentError({ what: 'wipefs described a disk in a way that Muster cannot read', detail: text });
  }
  const words = parsed.signatures.map(({ type, label }) => {
    const name = printable(type ?? 'something').slice(0, 40);
    return label ? `${name} "${printable(label).slice(0, 60)}"` : name;
  });
  return [...new Set(words)];
}

/** Offset of the first sample with anything in it, the last MiB included; null: all zeros. */
async function firstByte(file: FileHandle, sizeBytes: number, options: CallOptions): Promise<number | null> {
  const step = Math.floor(sizeBytes / samples / sectorBytes) * sectorBytes;
  const places = Array.from({ length: samples }, (_, at) => ({ offset: at * step, length: sampleBytes }));
  for (const { offset, length } of [...places, { offset: Math.max(0, sizeBytes - headBytes), length: headBytes }]) {
    options.signal?.throwIfAborted();
    const bytes = await readAt(file, offset, Math.min(length, sizeBytes - offset));
    if (!isBlank(bytes)) return offset;
  }
  return null;
}

export function isBlank(bytes: Buffer): boolean {
  return bytes.length === 0 || (bytes[0] === 0 && bytes.subarray(1).equals(bytes.subarray(0, -1)));
}

export async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(Math.max(0, length));
  let done = 0;
  while (done < buffer.length) {
    const { bytesRead } = await file.read(buffer, done, buffer.length - done, offset + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return buffer.subarray(0, done);
}

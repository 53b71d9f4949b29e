/** A disk of a physical machine as this host sees it: a block device or a raw image file. Reads only. */
import { constants } from 'node:fs';
import { open, readFile, realpath, stat, type FileHandle } from 'node:fs/promises';
import { OperatorError, PermanentError, TransientError } from '../../model/errors';
import { printable } from '../../model/names';
import { ProgramError, runProgram } from '../../programs/run';
import type { CallOptions } from '../contract';

export interface DeviceFacts {
  /** As configured; what people call it. */
  readonly device: string;
  /** Where its links lead now. */
  readonly path: string;
  readonly kind: 'block' | 'file';
  readonly sizeBytes: number;
  readonly serial: string | null;
  readonly readOnly: boolean;
  /** A partition is no disk: what is written to it does not boot. */
  readonly partition: boolean;
}

const timeoutMs = 60_000;

/** Size, serial and kind, asked now. @throws OperatorError when there is no such device. */
export async function readDevice(device: string, options: CallOptions = {}): Promise<DeviceFacts> {
  options.signal?.throwIfAborted();
  const path = await realpath(device).catch((error: NodeJS.ErrnoException) => {
    throw absent(device, error.code ?? error.message);
  });
  const found = await stat(path);
  if (found.isBlockDevice()) return readBlockDevice(device, path, options);
  if (found.isFile()) {
    const serial = await readFile(`${device}.serial`, 'utf8').catch(() => null);
    const sizeBytes = found.size;
    return { device, path, kind: 'file', sizeBytes, serial: cleanSerial(serial), readOnly: false, partition: false };
  }
  throw absent(device, 'neither a block device nor a file');
}

function absent(device: string, found: string): OperatorError {
  return new OperatorError({
    what: `the disk ${device} is not there`,
    found: found === 'ENOENT' ? 'no such device' : found,
    needed: 'a block device or an image file',
    remedy: 'Connect the disk, or correct its name in the configuration and restart the worker; then retry.',
  });
}

async function readBlockDevice(device: string, path: string, options: CallOptions): Promise<DeviceFacts> {
  const args = ['--json', '--bytes', '--nodeps', '--output', 'PATH,SIZE,SERIAL,RO,TYPE', path];
  try {
    const { stdout } = await runProgram('lsblk', args, { timeoutMs, signal: options.signal });
    return { device, path, kind: 'block', ...parseLsblk(stdout) };
  } catch (cause) {
    options.signal?.throwIfAborted();
    const detail = cause instanceof ProgramError ? cause.stderr : String(cause);
    throw new TransientError({ what: `the disk ${device} cannot be read`, found: 'lsblk failed', detail }, { cause });
  }
}

/** Of `lsblk --json --bytes`: its numbers are numbers or text, and flags booleans or "0" and "1", by its version. */
export function parseLsblk(text: string): Pick<DeviceFacts, 'sizeBytes' | 'serial' | 'readOnly' | 'partition'> {
  const parsed = JSON.parse(text) as { blockdevices?: Record<string, unknown>[] };
  const entry = parsed.blockdevices?.[0];
  const sizeBytes = Number(entry?.['size']);
  if (entry === undefined || !Number.isSafeInteger(sizeBytes)) {
    throw new PermanentError({ what: 'lsblk described a disk in a way that Muster cannot read', detail: text });
  }
  const serial = typeof entry['serial'] === 'string' ? cleanSerial(entry['serial']) : null;
  return {
    sizeBytes,
    serial,
    readOnly: ['1', 'true'].includes(String(entry['ro'])),
    partition: entry['type'] === 'part',
  };
}

/** Devices pad serials with blanks; an empty one is none. */
function cleanSerial(text: string | null): string | null {
  const serial = printable(text ?? '')
    .trim()
    .slice(0, 200);
  return serial === '' ? null : serial;
}

/**
 * Opens the disk so that nobody mounts or formats it meanwhile; the holder closes it.
 *
 * @throws OperatorError when something on this host uses it: a mount, a volume group, a running QEMU.
 */
export async function holdDevice(facts: DeviceFacts, options: CallOptions = {}): Promise<FileHandle> {
  if (facts.kind === 'file') await assertUnlocked(facts, options);
  const exclusive = facts.kind === 'block' ? constants.O_EXCL : 0;
  try {
    return await open(facts.path, constants.O_RDWR | exclusive);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'EBUSY') throw inUse(facts, 'it is mounted, or part of a volume group, an array or a swap');
    throw new OperatorError(
      {
        what: `the disk ${facts.device} cannot be written`,
        found: String(code ?? cause),
        needed: 'a disk that Muster’s worker may write',
        remedy: 'Give the right, or lift the write protection; then retry.',
      },
      { cause },
    );
  }
}

export function inUse(facts: DeviceFacts, found: string): OperatorError {
  return new OperatorError({
    what: `the disk ${facts.device} is in use on this host`,
    found,
    needed: 'a disk that nothing has open',
    remedy: 'Look with lsblk and lsof whether it is the right one; release it there, then retry.',
  });
}

/** QEMU locks images, not devices; a plain open would not notice it. */
export async function assertUnlocked(facts: DeviceFacts, options: CallOptions): Promise<void> {
  if (facts.sizeBytes === 0) return;
  const args = ['-f', 'raw', '-c', 'read 0 512', facts.path];
  try {
    await runProgram('qemu-io', args, { timeoutMs, signal: options.signal });
  } catch (cause) {
    options.signal?.throwIfAborted();
    const detail = cause instanceof ProgramError ? cause.stderr : String(cause);
    if (/Failed to get .*lock/.test(detail)) throw inUse(facts, 'a running QEMU has it open');
    throw new TransientError(
      { what: `the disk ${facts.device} cannot be opened`, found: detail.slice(0, 400) },
      { cause },
    );
  }
}

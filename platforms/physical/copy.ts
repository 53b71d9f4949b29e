/**
 * The bytes of a run's disk onto a machine's own disk, by qemu-img alone.
 *
 * What is copied is a thin layer over the run's disk in which the first MiB is Muster's mark, so that the disk boots
 * nothing while it is incomplete; the real first MiB comes last, after all else was compared with its source.
 */
import { mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isMusterError, OperatorError, PermanentError, TransientError } from '../../model/errors';
import type { MusterError } from '../../model/errors';
import { limitsFor } from '../../programs/limits';
import { ProgramError, runProgram, type RunOptions } from '../../programs/run';
import type { CallOptions, MachineDisk } from '../contract';
import type { DeviceFacts } from './device';
import { headBytes } from './marks';

/** What QEMU's tools read in the header of the run's disk. @throws PermanentError when its file is gone. */
export async function readSource(disk: MachineDisk, options: CallOptions = {}): Promise<number> {
  const args = ['info', '--force-share', '--output=json', '-f', disk.format, '--', disk.path];
  try {
    const { stdout } = await qemu(`disk ${disk.path} cannot be read`, 'qemu-img', args, options);
    return (JSON.parse(stdout) as { 'virtual-size': number })['virtual-size'];
  } catch (error) {
    if (!isMusterError(error) || !/No such file or directory/.test(error.facts.detail ?? '')) throw error;
    throw new PermanentError({
      what: `disk ${disk.path} cannot be used`,
      found: 'no such file',
      needed: 'the file that the replica handed over',
      remedy: 'Go back to the step that takes the disks.',
    });
  }
}

/** Makes the layer whose first sectors are `head` and which is the run's disk for the rest. */
export async function makeMarkedLayer(
  layer: string,
  disk: MachineDisk,
  mark: { readonly file: string; readonly bytes: number },
  options: CallOptions,
): Promise<void> {
  const what = `the copy of ${disk.diskId} cannot be prepared`;
  await mkdir(dirname(layer), { recursive: true });
  await rm(layer, { force: true });
  const create = ['create', '-q', '-f', 'qcow2', '-b', disk.path, '-F', disk.format, layer];
  await qemu(what, 'qemu-img', create, options);
  const blank = Math.min(headBytes, disk.sizeBytes);
  const commands = ['-c', `write -z 0 ${blank}`, '-c', `write -s ${mark.file} 0 ${mark.bytes}`];
  await qemu(what, 'qemu-io', ['-f', 'qcow2', ...commands, layer], options);
}

/** The first MiB of the run's disk as a file. */
export async function extractHead(disk: MachineDisk, target: string, options: CallOptions): Promise<void> {
  await rm(target, { force: true });
  const args = ['-f', disk.format, '-O', 'raw', `bs=${headBytes}`, 'count=1', `if=${disk.path}`, `of=${target}`];
  await qemu(`the beginning of ${disk.diskId} cannot be read`, 'qemu-img', ['dd', ...args], options);
}

/** Writes the whole layer. Zeros are written as zeros (or given back to the device), never skipped. */
export async function copyLayer(layer: string, facts: DeviceFacts, disk: MachineDisk, options: CallOptions) {
  await qemu(`${disk.diskId} cannot be written to ${facts.device}`, 'qemu-img', convertArgs(layer, facts, disk), {
    ...options,
    label: `Writing ${disk.diskId} to ${facts.device}`,
    bytes: disk.sizeBytes,
  });
}

/** `-n`: the target is there already. The default cache mode would let a loss of power lose what was reported as written. */
export function convertArgs(layer: string, facts: DeviceFacts, disk: Pick<MachineDisk, 'sizeBytes'>): string[] {
  const cache = facts.kind === 'block' ? 'none' : 'writeback';
  return ['convert', '-p', '-n', '-t', cache, '-f', 'qcow2', layer, targetOf(facts, disk.sizeBytes)];
}

/** As much of the device as the disk has, so that a larger device does not count. */
function targetOf(facts: DeviceFacts, sizeBytes: number): string {
  const driver = facts.kind === 'block' ? 'host_device' : 'file';
  return `json:${JSON.stringify({ driver: 'raw', size: sizeBytes, file: { driver, filename: facts.path } })}`;
}

/** Reads both sides. @throws TransientError when they differ: the copy is to be repeated. */
export async function compareLayer(layer: string, facts: DeviceFacts, disk: MachineDisk, options: CallOptions) {
  const cache = facts.kind === 'block' ? 'none' : 'writeback';
  const args = ['compare', '-p', '-T', cache, '-f', 'qcow2', layer, targetOf(facts, disk.sizeBytes)];
  const { exitCode, stdout } = await qemu(`${facts.device} cannot be compared with ${disk.diskId}`, 'qemu-img', args, {
    ...options,
    okExitCodes: [0, 1],
    label: `Comparing ${facts.device} with ${disk.diskId}`,
    bytes: disk.sizeBytes,
  });
  if (exitCode === 0) return;
  throw new TransientError({
    what: `${facts.device} does not read back what was written to it`,
    found: /Content mismatch at offset \d+/.exec(stdout)?.[0] ?? 'other bytes',
    needed: `the bytes of ${disk.diskId}`,
    remedy: 'It is written again. If it happens twice the device is failing: choose another one.',
  });
}

interface QemuOptions extends CallOptions {
  readonly label?: string;
  readonly bytes?: number;
  readonly okExitCodes?: readonly number[];
}

async function qemu(what: string, program: string, args: readonly string[], options: QemuOptions) {
  const { label, bytes, onProgress } = options;
  const startedAt = performance.now();
  const run: RunOptions = {
    signal: options.signal,
    limits: limitsFor.chain,
    ...(options.okExitCodes === undefined ? {} : { okExitCodes: options.okExitCodes }),
    ...(label === undefined || bytes === undefined || onProgress === undefined
      ? {}
      : { onText: (text: string) => tell(text, { label, bytes, onProgress, startedAt }) }),
  };
  try {
    return await runProgram(program, args, run);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof ProgramError) throw explain(what, error);
    throw error;
  }
}

/** qemu-img writes `    (12.34/100%)` and a carriage return, over and over. */
function tell(
  text: string,
  {
    label,
    bytes,
    onProgress,
    startedAt,
  }: Required<Pick<QemuOptions, 'label' | 'bytes' | 'onProgress'>> & { startedAt: number },
): void {
  const share = Number([...text.matchAll(/\((\d+(?:\.\d+)?)\/100%\)/g)].at(-1)?.[1] ?? NaN) / 100;
  if (Number.isNaN(share)) return;
  const elapsedMs = performance.now() - startedAt;
  const done = Math.round(share * bytes);
  const known = share > 0 && elapsedMs > 1000;
  onProgress({
    label,
    done,
    total: bytes,
    unit: 'bytes',
    ratePerSecond: known ? Math.round(done / (elapsedMs / 1000)) : null,
    timeLeftMs: known ? Math.round((elapsedMs / share) * (1 - share)) : null,
  });
}

/** Texts of QEMU 7.2, run with LC_ALL=C.UTF-8. */
function explain(what: string, error: ProgramError): MusterError {
  const detail = error.stderr.trim() || error.shortMessage;
  const found = (detail.split('\n').at(-1) ?? detail).slice(0, 400);
  if (/No space left on device/.test(detail)) {
    const remedy = 'Free or add storage there, then retry.';
    return new OperatorError({ what, found, needed: 'free space', remedy, detail });
  }
  if (/Failed to get .*lock/.test(detail)) {
    const remedy = 'Let the other program release it (lsof on the path), then retry.';
    return new OperatorError({ what, found, needed: 'a disk that nobody else has open', remedy, detail });
  }
  if (/Permission denied|Operation not permitted|Read-only file system/.test(detail)) {
    const remedy = 'Give the right, or lift the write protection; then retry.';
    return new OperatorError({ what, found, needed: 'the right to write', remedy, detail });
  }
  if (/Input\/output error/.test(detail)) {
    const remedy = 'The device is failing: choose another disk, or another machine.';
    return new OperatorError({ what, found, needed: 'a disk that takes what is written to it', remedy, detail });
  }
  return new TransientError({ what, found, detail });
}

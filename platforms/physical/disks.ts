/**
 * What a run may write to a machine's own disk, and the writing itself. Looked at first, marked, copied, compared, made
 * bootable last. Killed at any moment, the same call begins again: the mark and the record say that it may.
 */
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OperatorError } from '../../model/errors';
import { formatSize } from '../../model/durations';
import { limitsFor } from '../../programs/limits';
import { ProgramError, runProgram } from '../../programs/run';
import type { AttachOptions, CallOptions, MachineDisk, Owner } from '../contract';
import { readContent, type DiskContent } from './content';
import { compareLayer, copyLayer, extractHead, makeMarkedLayer, readSource } from './copy';
import { holdDevice, readDevice, type DeviceFacts } from './device';
import type { MachineDevice, PhysicalMachine } from './machine';
import { headBytes, markSector, newRecordId, readMark, readRecord, recordFile, sha256, writeRecord } from './marks';
import { sectorBytes, type DiskRecord } from './marks';
import { sameOwner } from '../owners';

export interface DiskPlace {
  readonly folder: string;
  readonly machine: PhysicalMachine;
  readonly slot: MachineDevice;
  readonly owner: Owner | null;
  readonly now: () => number;
}

export interface Verdict {
  readonly ok: boolean;
  readonly found: string;
  readonly needed: string;
}

/** Everything that is known of the disk, and whether this run may write to it. Changes nothing. */
export async function judgeDisk(
  place: DiskPlace,
  sizeBytes: number,
  options: AttachOptions = {},
): Promise<Verdict & { facts: DeviceFacts; record: DiskRecord | undefined }> {
  const { device } = place.slot;
  const facts = await readDevice(device, options);
  const record = await readRecord(recordFile(place.folder, { device, serial: facts.serial }));
  const known = { facts, record };
  const unfit = unfitness(place.slot, facts, sizeBytes);
  if (unfit !== null) return { ...known, ok: false, found: `${device}: ${unfit.found}`, needed: unfit.needed };
  const held = whatItHolds(place, record, await readContent(facts, options));
  const what = { ...known, found: `${device}: ${held.words}` };
  if (held.ours || (options.overwriteDisks ?? []).includes(device))
    return { ...what, ok: true, needed: 'a disk that may be written' };
  return { ...what, ok: false, needed: `a blank disk, or an order that names it: --set overwriteDisks=${device}` };
}

/** What keeps the disk from being written whatever the order says; null: nothing. */
export function unfitness(
  { serial }: MachineDevice,
  facts: DeviceFacts,
  sizeBytes: number,
): { readonly found: string; readonly needed: string } | null {
  if (serial !== null && facts.serial !== serial) {
    const found = facts.serial === null ? 'a disk that says no serial' : `serial ${facts.serial}`;
    return { found, needed: `serial ${serial}` };
  }
  if (facts.partition) return { found: 'a partition', needed: 'a whole disk' };
  if (facts.readOnly) return { found: 'a disk that is write-protected', needed: 'a disk that can be written' };
  if (facts.sizeBytes >= sizeBytes) return null;
  return { found: formatSize(facts.sizeBytes), needed: `at least ${formatSize(sizeBytes)}` };
}

/** `ours`: blank, or put there by Muster and never started as a system of its own. */
function whatItHolds(
  { owner }: DiskPlace,
  record: DiskRecord | undefined,
  { description, firstSector, head }: DiskContent,
): { ours: boolean; words: string } {
  if (record !== undefined && readMark(firstSector) === record.id) {
    const words = record.state === 'withdrawn' ? 'what a run took back' : 'a copy that did not end';
    return { ours: true, words: `${words} (run ${record.owner.runId})` };
  }
  if (description === null) return { ours: true, words: 'blank' };
  if (record === undefined) return { ours: false, words: description };
  const own = sameOwner(record.owner, owner);
  const since = `${record.diskId} of run ${record.owner.runId}`;
  if (record.state === 'started') return { ours: own, words: `${since}, in use since ${record.at} (${description})` };
  const asWritten =
    record.sectorSha256 === sha256(firstSector) && (record.state === 'finishing' || record.headSha256 === sha256(head));
  if (asWritten) return { ours: true, words: `${since}, never started` };
  return { ours: false, words: `${description}, changed since run ${record.owner.runId} wrote it` };
}

export function refusal(machine: string, verdict: Verdict): OperatorError {
  return new OperatorError({
    what: `a disk of ${machine} is not written`,
    found: verdict.found,
    needed: verdict.needed,
    remedy:
      'Look at the disk. If it is the right one and what it holds may be lost, name it (provide overwriteDisks); else connect another disk and retry.',
  });
}

/** @throws OperatorError when the disk holds what Muster did not put there, is too small, is another one, or is in use. */
export async function writeDisk(place: DiskPlace, disk: MachineDisk, options: AttachOptions): Promise<void> {
  const owner = place.owner!;
  const sourceBytes = await readSource(disk, options);
  const verdict = await judgeDisk(place, sourceBytes, options);
  const { facts, record } = verdict;
  const file = recordFile(place.folder, facts);
  const own = record !== undefined && sameOwner(record.owner, owner) && record.source === disk.path;
  if (own && (record.state === 'written' || record.state === 'started') && verdict.ok) return;
  if (!verdict.ok) throw refusal(place.machine.name, verdict);
  const begun: DiskRecord = {
    ...{ format: 1, id: newRecordId(), device: facts.device, serial: facts.serial, machine: place.machine.name },
    ...{ diskId: disk.diskId, owner, state: 'writing', at: timeOf(place), source: disk.path, sizeBytes: sourceBytes },
    ...{ headSha256: null, sectorSha256: null },
  };
  const handle = await holdDevice(facts, options);
  try {
    await writeRecord(file, begun);
    // At once, so that a copy that is cut short cannot boot what was there before.
    await handle.write(markSector(begun), 0, sectorBytes, 0);
    await handle.sync();
    await copyAll(place, { facts, disk: { ...disk, sizeBytes: sourceBytes }, begun, file, handle }, options);
  } finally {
    await handle.close();
  }
  await relocateBackupTable(facts, sourceBytes, options);
  const head = (await readContent(facts, options)).head;
  const sums = { headSha256: sha256(head), sectorSha256: sha256(head.subarray(0, sectorBytes)) };
  await writeRecord(file, { ...begun, ...sums, state: 'written', at: timeOf(place) });
}

interface Writing {
  readonly facts: DeviceFacts;
  readonly disk: MachineDisk;
  readonly begun: DiskRecord;
  /** Of the record. */
  readonly file: string;
  readonly handle: Awaited<ReturnType<typeof holdDevice>>;
}

async function copyAll(place: DiskPlace, { facts, disk, begun, file, handle }: Writing, options: CallOptions) {
  const scratch = join(place.folder, 'writing');
  const [layer, mark, headFile] = ['qcow2', 'mark', 'head'].map((end) => join(scratch, `${begun.id}.${end}`)) as [
    string,
    string,
    string,
  ];
  try {
    await mkdir(scratch, { recursive: true });
    await writeFile(mark, markSector(begun));
    await makeMarkedLayer(layer, disk, { file: mark, bytes: sectorBytes }, options);
    await copyLayer(layer, facts, disk, options);
    await handle.sync();
    await compareLayer(layer, facts, disk, options);
    await clearEnd(handle, facts, disk.sizeBytes);
    await extractHead(disk, headFile, options);
    const head = await readFile(headFile);
    const sums = { headSha256: sha256(head), sectorSha256: sha256(head.subarray(0, sectorBytes)) };
    await writeRecord(file, { ...begun, ...sums, state: 'finishing', at: timeOf(place) });
    await handle.write(head, sectorBytes, head.length - sectorBytes, sectorBytes);
    await handle.sync();
    await handle.write(head, 0, sectorBytes, 0);
    await handle.sync();
  } finally {
    await Promise.all([layer, mark, headFile].map((path) => rm(path, { force: true })));
  }
}

/** A larger disk ends in what was there before: an old backup table or array would be found there. */
async function clearEnd(handle: Writing['handle'], facts: DeviceFacts, writtenBytes: number): Promise<void> {
  const from = Math.max(writtenBytes, facts.sizeBytes - headBytes);
  if (from >= facts.sizeBytes) return;
  await handle.write(Buffer.alloc(facts.sizeBytes - from), 0, facts.sizeBytes - from, from);
  await handle.sync();
}

/** GPT keeps a copy of itself at the disk's end, which is elsewhere on a larger disk. */
async function relocateBackupTable(facts: DeviceFacts, writtenBytes: number, options: CallOptions): Promise<void> {
  if (facts.sizeBytes === writtenBytes) return;
  const file = await open(facts.path, 'r');
  try {
    const magic = Buffer.alloc(8);
    await file.read(magic, 0, 8, sectorBytes);
    if (magic.toString('latin1') !== 'EFI PART') return;
  } finally {
    await file.close();
  }
  try {
    const args = ['--quiet', '--no-reread', '--no-tell-kernel', '--relocate', 'gpt-bak-std', facts.path];
    await runProgram('sfdisk', args, { timeoutMs: 60_000, signal: options.signal, limits: limitsFor.tables });
  } catch (cause) {
    options.signal?.throwIfAborted();
    if (!(cause instanceof ProgramError)) throw cause;
    throw new OperatorError(
      {
        what: `the partition table on ${facts.device} cannot be fitted to its size`,
        found: cause.stderr.trim().split('\n').at(-1) ?? cause.shortMessage,
        needed: 'a backup table at the end of the disk',
        remedy: 'Take a disk of the size of the original, or mend the table of the source; then retry.',
        detail: cause.stderr,
      },
      { cause },
    );
  }
}

/**
 * Undo: nothing boots it by mistake any more, and the next run may write to it. No record of this run: nothing to do.
 *
 * @throws OperatorError when the disk is no longer the one that this run wrote to.
 */
export async function withdrawDisk(place: DiskPlace, options: CallOptions = {}): Promise<void> {
  const verdict = await judgeDisk(place, 0, options);
  const { facts, record } = verdict;
  if (record === undefined || record.owner.runId !== place.owner?.runId || record.state === 'withdrawn') return;
  if (!verdict.ok) {
    throw new OperatorError({
      what: `a disk of ${place.machine.name} is not made unbootable`,
      found: verdict.found,
      needed: `the disk as this run wrote it on ${record.at}`,
      remedy: 'Somebody changed or exchanged it: look at it. Skip this undo if it is to stay as it is.',
    });
  }
  const file = recordFile(place.folder, facts);
  const handle = await holdDevice(facts, options);
  try {
    const head = Buffer.alloc(Math.min(headBytes, facts.sizeBytes));
    markSector(record).copy(head);
    await handle.write(head, 0, head.length, 0);
    const end = Math.max(head.length, facts.sizeBytes - headBytes);
    await handle.write(Buffer.alloc(facts.sizeBytes - end), 0, facts.sizeBytes - end, end);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await writeRecord(file, { ...record, state: 'withdrawn', at: timeOf(place), headSha256: null, sectorSha256: null });
}

/** From now on what is on the disk is a system of its own: only this run, or an order that names the disk, changes it. */
export async function noteStarted(place: DiskPlace, options: CallOptions = {}): Promise<void> {
  const facts = await readDevice(place.slot.device, options);
  const file = recordFile(place.folder, facts);
  const record = await readRecord(file);
  if (record === undefined || record.owner.runId !== place.owner?.runId || record.state !== 'written') return;
  await writeRecord(file, { ...record, state: 'started', at: timeOf(place) });
}

const timeOf = ({ now }: DiskPlace): string => new Date(now()).toISOString();

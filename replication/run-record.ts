/** What a run has taken: written before the first overlay, so that nothing of a run can be there without its name. */
import { join } from 'node:path';
import { z } from 'zod';
import { OperatorError } from '../model/errors';
import { recoveryOptions } from '../model/replica';
import { readDocument, writeDurably } from './durable';
import { exists, namesIn } from './manifests';
import { safeName, type ReplicaPlace } from './place';

const signature = z.object({
  partition: z.number().int().nonnegative(),
  volumeOffsetBytes: z.number().int().nonnegative(),
  volumeSizeBytes: z.number().int().positive(),
  type: z.string(),
  pieces: z.array(z.object({ offsetBytes: z.number().int().nonnegative(), hex: z.string() })),
});
const runRecord = z.object({
  format: z.literal(1),
  runId: z.string(),
  pointId: z.string(),
  option: z.enum(recoveryOptions),
  /** Which start of the host the copies were begun under: what is not whole is kept as far as it came under that only. */
  bootId: z.string().optional(),
  disks: z.array(
    z.object({
      diskId: z.string(),
      index: z.number().int().nonnegative(),
      virtualSizeBytes: z.number().int().positive(),
      /** held: open in the target server; handed-over: the new machine may open it. */
      state: z.enum(['held', 'handed-over']),
      /** The point's, which may be merged away under a copy. Absent in records of earlier versions. */
      signatures: z.array(signature).optional(),
    }),
  ),
});
export type RunRecord = z.infer<typeof runRecord>;

export const runFolder = (place: ReplicaPlace, runId: string) => join(place.runs, safeName(runId, 'run id'));
export const overlayPath = (place: ReplicaPlace, runId: string, diskId: string) =>
  join(runFolder(place, runId), `${safeName(diskId, 'disk id')}.qcow2`);
const recordPath = (place: ReplicaPlace, runId: string) => join(runFolder(place, runId), 'run.json');

export async function readRun(place: ReplicaPlace, runId: string): Promise<RunRecord | undefined> {
  return readDocument(recordPath(place, runId), runRecord);
}

export async function readRuns(place: ReplicaPlace): Promise<RunRecord[]> {
  const records = await Promise.all((await namesIn(place.runs)).map((runId) => readRun(place, runId)));
  return records.filter((record) => record !== undefined);
}

/** The disks that the target server has, and no machine may open. */
export function heldDisks(run: RunRecord): string[] {
  return run.disks.filter((disk) => disk.state === 'held').map((disk) => disk.diskId);
}

/** Whether the run's disks are copies, which stand by themselves when they are whole. */
export const takesCopies = (run: Pick<RunRecord, 'option'>): boolean => run.option === 'copy-and-recover';

export async function isWholeCopy(place: ReplicaPlace, run: RunRecord): Promise<boolean> {
  if (!takesCopies(run)) return false;
  const there = await Promise.all(run.disks.map(({ diskId }) => exists(overlayPath(place, run.runId, diskId))));
  return there.every(Boolean);
}

/** Runs under which no point may change: all but those whose copies are whole. */
export async function runsOnPoints(place: ReplicaPlace): Promise<RunRecord[]> {
  const runs = await readRuns(place);
  const whole = await Promise.all(runs.map((run) => isWholeCopy(place, run)));
  return runs.filter((_, index) => !whole[index]);
}

export async function writeRun(place: ReplicaPlace, record: RunRecord): Promise<void> {
  await writeDurably(recordPath(place, record.runId), record);
}

/** @throws OperatorError when the run has taken nothing, or not that disk. */
export async function runWithDisk(place: ReplicaPlace, runId: string, diskId: string): Promise<RunRecord> {
  const record = await readRun(place, runId);
  if (record?.disks.some((disk) => disk.diskId === diskId) === true) return record;
  throw new OperatorError({
    what: `run ${runId} has not taken disk ${diskId} of server ${place.serverId}`,
    found:
      record === undefined ? 'no overlay of this run' : `overlays of ${record.disks.map((d) => d.diskId).join(', ')}`,
    needed: 'an overlay of that disk',
    remedy: 'Repeat the step that takes the disks, or abort the run.',
  });
}

export async function markDisk(
  place: ReplicaPlace,
  record: RunRecord,
  diskId: string,
  state: RunRecord['disks'][number]['state'],
): Promise<void> {
  const disks = record.disks.map((disk) => (disk.diskId === diskId ? { ...disk, state } : disk));
  await writeRun(place, { ...record, disks });
}

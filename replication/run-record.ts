/** What a run has taken: written before the first overlay, so that nothing of a run can be there without its name. */
import { join } from 'node:path';
import { z } from 'zod';
import { OperatorError } from '../model/errors';
import { recoveryOptions } from '../model/replica';
import { readJson, writeDurably } from './durable';
import { namesIn } from './manifests';
import { safeName, type ReplicaPlace } from './place';

const runRecord = z.object({
  format: z.literal(1),
  runId: z.string(),
  pointId: z.string(),
  option: z.enum(recoveryOptions),
  disks: z.array(
    z.object({
      diskId: z.string(),
      index: z.number().int().nonnegative(),
      virtualSizeBytes: z.number().int().positive(),
      /** held: open in the target server; handed-over: the new machine may open it. */
      state: z.enum(['held', 'handed-over']),
    }),
  ),
});
export type RunRecord = z.infer<typeof runRecord>;

export const runFolder = (place: ReplicaPlace, runId: string) => join(place.runs, safeName(runId, 'run id'));
export const overlayPath = (place: ReplicaPlace, runId: string, diskId: string) =>
  join(runFolder(place, runId), `${safeName(diskId, 'disk id')}.qcow2`);
const recordPath = (place: ReplicaPlace, runId: string) => join(runFolder(place, runId), 'run.json');

export async function readRun(place: ReplicaPlace, runId: string): Promise<RunRecord | undefined> {
  const found = await readJson(recordPath(place, runId));
  return found === undefined ? undefined : runRecord.parse(found);
}

export async function readRuns(place: ReplicaPlace): Promise<RunRecord[]> {
  const records = await Promise.all((await namesIn(place.runs)).map((runId) => readRun(place, runId)));
  return records.filter((record) => record !== undefined);
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

/**
 * The end of a destructive recovery: the machine's overlay is merged down into the base (by its platform), and with that
 * the replica ends. From beginCommit on nothing of it is a recovery point any more, because the base's bytes change.
 *
 * A server that has gone back to where it ran before gets a new replica at the same place, beside the disks of that machine.
 */
import { mkdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { OperatorError, TransientError } from '../model/errors';
import { readDocument, removeDurably, writeDurably } from './durable';
import { assertNotHeldByAnother } from './hold';
import { givenLayers } from './given';
import { chainOf, exists, layerPath, namesIn, readPoints, removeManifest } from './manifests';
import { safeName, type ReplicaPlace } from './place';
import { overlayPath, readRun, runFolder, runsOnPoints } from './run-record';
import { stopTargetServer } from './target-server';

const commitRecord = z.object({
  format: z.literal(1),
  runId: z.string(),
  disks: z.array(z.object({ diskId: z.string(), overlayPath: z.string(), basePath: z.string() })),
});
export type CommitRecord = z.infer<typeof commitRecord>;

export async function readCommit(place: ReplicaPlace): Promise<CommitRecord | undefined> {
  return readDocument(place.commit, commitRecord);
}

/** Repeated: continues and returns the same. @throws TransientError while another run stands on the replica. */
export async function beginCommit(place: ReplicaPlace, runId: string): Promise<CommitRecord['disks']> {
  const record = (await readCommit(place)) ?? (await startCommit(place, runId));
  if (record.runId !== runId) throw givenAway(place, record);
  for (const point of (await readPoints(place)).manifests) await removeManifest(place, point);
  await removeDurably(place.merge);
  await stopTargetServer(place);
  return record.disks;
}

async function startCommit(place: ReplicaPlace, runId: string): Promise<CommitRecord> {
  await assertNotHeldByAnother(place, runId);
  const run = await readRun(place, runId);
  const [other] = (await runsOnPoints(place)).filter((one) => one.runId !== runId);
  if (run === undefined) {
    throw new OperatorError({
      what: `run ${runId} cannot make its recovery of server ${place.serverId} final`,
      found: 'no disks taken by this run',
      needed: 'disks of this run',
      remedy: 'Abort the run.',
    });
  }
  if (other !== undefined) {
    // A rehearsal that gives way may just be cleaning up.
    throw new TransientError({
      what: `run ${runId} cannot make its recovery of server ${place.serverId} final yet`,
      found: `also in use by run ${other.runId}`,
      needed: 'no other run on the replica',
      remedy: `Let run ${other.runId} end, or abort it (\`muster abort ${other.runId} --reason …\`), then retry.`,
    });
  }
  const set = await readPoints(place);
  const disks = await Promise.all(
    run.disks.map(async ({ diskId }) => ({
      diskId,
      overlayPath: overlayPath(place, runId, diskId),
      basePath: layerPath(place, (await chainOf(place, set, run.pointId, diskId))[0]!),
    })),
  );
  const record: CommitRecord = { format: 1, runId, disks };
  await writeDurably(place.commit, record);
  return record;
}

/** Removes everything but the bases, which are the machine's disks now. */
export async function finishCommit(place: ReplicaPlace, runId: string): Promise<void> {
  const record = await readCommit(place);
  if (record === undefined) return;
  if (record.runId !== runId) throw givenAway(place, record);
  await removeLayers(place);
  await rm(runFolder(place, runId), { recursive: true, force: true });
  await removeDurably(place.hold);
}

/** All but those that are disks of recovered machines. */
export async function removeLayers(place: ReplicaPlace): Promise<void> {
  const bases = (await readCommit(place))?.disks.map((disk) => basename(disk.basePath));
  const kept = new Set([...(bases ?? []), ...(await givenLayers(place))]);
  for (const name of await namesIn(place.layers)) {
    if (!kept.has(name)) await rm(layerPath(place, `layers/${name}`), { force: true });
  }
}

/**
 * Lets a new replica begin where an earlier one was given away: what says whose disks its base is moves aside.
 *
 * @throws OperatorError while the earlier one has not been removed
 */
export async function beginAnew(place: ReplicaPlace): Promise<void> {
  const record = await readCommit(place);
  if (record === undefined) return;
  if (await exists(place.server)) throw givenAway(place, record);
  await mkdir(place.given, { recursive: true, mode: 0o700 });
  await writeDurably(join(place.given, `${safeName(record.runId, 'run id')}.json`), record);
  await removeDurably(place.commit);
}

/** @throws OperatorError when the replica's base belongs to a recovered machine. */
export async function assertNotGivenAway(place: ReplicaPlace): Promise<void> {
  const record = await readCommit(place);
  if (record !== undefined) throw givenAway(place, record);
}

function givenAway(place: ReplicaPlace, record: CommitRecord): OperatorError {
  return new OperatorError({
    what: `server ${place.serverId} has no replica any more`,
    found: `it was given to the machine that run ${record.runId} recovered`,
    needed: 'a replica of its own',
    remedy:
      'End its replication (`muster protect NAME --remove --reason …`) if it has not ended by itself. Then protect the server again: it gets a new replica beside the disks of that machine.',
  });
}

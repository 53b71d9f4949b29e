/** The marker of a run that holds the replica: while it lies there, no cycle and no merge starts. */
import { z } from 'zod';
import { OperatorError } from '../model/errors';
import { readDocument, removeDurably, writeDurably } from './durable';
import type { ReplicaPlace } from './place';

const hold = z.object({
  format: z.literal(1),
  runId: z.string(),
  state: z.enum(['frozen', 'suspended']),
  at: z.string(),
  /** A rehearsal's: a recovery takes it over. */
  yields: z.boolean().optional(),
});
export type Hold = z.infer<typeof hold>;

/** @throws OperatorError when the marker is damaged: nobody may take the replica then, as nobody knows whose it is. */
export async function readHold(place: ReplicaPlace): Promise<Hold | undefined> {
  return readDocument(place.hold, hold);
}

/**
 * Holds the replica for the run, or changes the state of its hold. A hold that yields is taken over by one that does not.
 *
 * @throws OperatorError when another run holds it.
 */
export async function holdFor(
  place: ReplicaPlace,
  runId: string,
  { state, at, yields = false }: Pick<Hold, 'state' | 'at' | 'yields'>,
): Promise<void> {
  const there = await readHold(place);
  const isTaken = there !== undefined && there.runId !== runId && !(there.yields === true && !yields);
  if (isTaken) throw heldByAnother(place, there);
  if (there?.runId === runId && there.state === state) return;
  await writeDurably(place.hold, { format: 1, runId, state, at, ...(yields ? { yields } : {}) } satisfies Hold);
}

/** Ends the run's hold; somebody else's, or none: already so. */
export async function letGoFor(place: ReplicaPlace, runId: string): Promise<void> {
  if ((await readHold(place))?.runId === runId) await removeDurably(place.hold);
}

export async function assertNotHeldByAnother(place: ReplicaPlace, runId: string | null): Promise<Hold | undefined> {
  const found = await readHold(place);
  if (found === undefined || found.runId === runId) return found;
  throw heldByAnother(place, found);
}

function heldByAnother(place: ReplicaPlace, found: Hold): OperatorError {
  return new OperatorError({
    what: `the replica of server ${place.serverId} is held by another run`,
    found: `run ${found.runId}, ${found.state} since ${found.at}`,
    needed: 'a replica that no run holds',
    remedy: `Finish or abort run ${found.runId} first.`,
  });
}

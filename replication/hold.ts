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
});
export type Hold = z.infer<typeof hold>;

/** @throws OperatorError when the marker is damaged: nobody may take the replica then, as nobody knows whose it is. */
export async function readHold(place: ReplicaPlace): Promise<Hold | undefined> {
  return readDocument(place.hold, hold);
}

/** Holds the replica for the run, or changes the state of its hold. @throws OperatorError when another run holds it. */
export async function holdFor(place: ReplicaPlace, runId: string, state: Hold['state'], at: string): Promise<void> {
  const found = await assertNotHeldByAnother(place, runId);
  if (found?.state !== state) await writeDurably(place.hold, { format: 1, runId, state, at } satisfies Hold);
}

/** Ends the run's hold; somebody else's, or none: already so. */
export async function letGoFor(place: ReplicaPlace, runId: string): Promise<void> {
  if ((await readHold(place))?.runId === runId) await removeDurably(place.hold);
}

export async function assertNotHeldByAnother(place: ReplicaPlace, runId: string | null): Promise<Hold | undefined> {
  const found = await readHold(place);
  if (found === undefined || found.runId === runId) return found;
  throw new OperatorError({
    what: `the replica of server ${place.serverId} is held by another run`,
    found: `run ${found.runId}, ${found.state} since ${found.at}`,
    needed: 'a replica that no run holds',
    remedy: `Finish or abort run ${found.runId} first.`,
  });
}

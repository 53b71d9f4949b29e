/**
 * How a person's act reaches its workflow: by an update, with a knock before it.
 *
 * A worker that does not have the workflow in memory reads its history first: another one was lost, was too slow, or had too many. A
 * task of the workflow that led to no command, like the one before it, and that only the task of the update follows, the SDK takes up
 * together with that one. Once the update is accepted, a replay takes them one by one (core of 1.24: history_update.rs,
 * `find_end_index_of_next_wft_seq`; sdk-rust#1146, to be mended by #1509). What the workflow did then, at one time and the update
 * first, may differ from what the replay comes to, and it is stuck for good at the next change of workers.
 *
 * So a signal goes before the update, and the workflow answers it with a command (workflows/knocks.ts): no task before it is taken
 * together with the update. It would not help where the workflow does two tasks without a command between knock and update, and
 * another worker takes the update. The price: a signal and a task of history for each act, also for one that is refused or sent again.
 */
import type { UpdateDefinition } from '@temporalio/common';
import type { WorkflowHandle } from '@temporalio/client';
import { knockSignal } from '../../workflows/messages';
import { Problem } from '../problems';
import { asProblem } from './errors';

/**
 * Of a workflow that is over the update is sent, too: it may still tell what became of an earlier one of this id.
 *
 * @throws Problem `part-unavailable` when Temporal does not answer the knock; then no update was sent. What `executeUpdate` throws.
 */
export async function sendUpdate<Ret, Args extends [unknown]>(
  handle: WorkflowHandle,
  update: UpdateDefinition<Ret, Args>,
  request: Args[0],
  updateId: string,
): Promise<Ret> {
  await handle.signal(knockSignal).catch((error: unknown) => {
    // Refused for good, because it is over or has had too many signals: an act must not fail for that.
    const problem = asProblem(error);
    if (problem instanceof Problem) throw problem;
  });
  return handle.executeUpdate(update, { args: [request] as unknown as Args, updateId });
}

/**
 * How a person's act reaches its workflow: by an update, with a knock before it.
 *
 * A worker that does not know the workflow reads its history first. Tasks of it that led to no command, and that nothing but the next
 * task follows, the SDK takes up together with that one; when an update was accepted in it, a replay takes them one by one (core of
 * 1.24: history_update.rs, `find_end_index_of_next_wft_seq`; sdk-rust#1146, to be mended by #1509). So what the workflow did at the
 * update may differ from what a replay comes to, and then it is stuck for good at the next change of workers. A signal stands between
 * what was and the update: what is taken together with the update is then the knock alone, at which nothing is done.
 *
 * It would not help if a worker were lost between the two tasks of knock and update, some milliseconds, and something else
 * that leads to no command had come with the knock.
 */
import type { UpdateDefinition } from '@temporalio/common';
import type { WorkflowHandle } from '@temporalio/client';
import { knockSignal } from '../../workflows/messages';
import { isNotFound } from './errors';

/** @throws what `executeUpdate` throws; of a workflow that is over, too: it may still tell what became of an earlier update of this id. */
export async function sendUpdate<Ret, Args extends [unknown]>(
  handle: WorkflowHandle,
  update: UpdateDefinition<Ret, Args>,
  request: Args[0],
  updateId: string,
): Promise<Ret> {
  await handle.signal(knockSignal).catch((error: unknown) => {
    if (!isNotFound(error)) throw error;
  });
  return handle.executeUpdate(update, { args: [request] as unknown as Args, updateId });
}

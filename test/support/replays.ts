/** What was recorded of workflows, played again on today's code by the SDK itself. */
import { Worker, type ReplayHistoriesIterable, type ReplayResult } from '@temporalio/worker';
import { dataConverter } from '../../wire/payloads';
import { testWorkflowBundle } from './workflow-bundle';

/**
 * In a thread of its own. Otherwise, which is the SDK's default here, a hook stays behind that compiles a function for each promise of this
 * process (worker/lib/workflow/vm-shared.js, `setPromiseHook`): all tests that come after it would crawl.
 */
export async function* replays(
  histories: ReplayHistoriesIterable,
  bundle?: { codePath: string } | { code: string },
): AsyncIterableIterator<ReplayResult> {
  const workflowBundle = bundle ?? (await testWorkflowBundle());
  // Its type leaves the mode out.
  const options = { workflowBundle, dataConverter, debugMode: false };
  yield* Worker.runReplayHistories(options, histories);
}

/** @throws the SDK's error where it comes to something else. */
export async function expectToReplay(
  handle: { readonly workflowId: string; fetchHistory(): Promise<unknown> },
  bundle?: { codePath: string } | { code: string },
): Promise<void> {
  const { workflowId } = handle;
  for await (const { error } of replays([{ workflowId, history: await handle.fetchHistory() }], bundle)) {
    if (error !== undefined) throw error;
  }
}

/**
 * Cleaning up after the rehearsal of a runbook that was ended before it had: the clean-ups of its servers one after the other, each a
 * run of its own with its record, in which people are asked where it is stuck. The last at a site removes the networks of them all.
 */
import { executeChild, ParentClosePolicy, sleep, WorkflowIdReusePolicy } from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { cleanUpWorkflowId, cleanUpWorkflowType, workflowQueue, type CleanUpOfServer } from './messages';

export async function planCleanUp({ cleanUps }: { readonly cleanUps: readonly CleanUpOfServer[] }): Promise<void> {
  for (const one of cleanUps) await cleanUpOf(one);
}

const firstRestMs = 2_000;
const longestRestMs = 60_000;

/** Somebody may have started it alone: then it is done after that one, to find done what is done. */
async function cleanUpOf({ order, memo }: CleanUpOfServer): Promise<void> {
  for (let restMs = firstRestMs; ; restMs = Math.min(2 * restMs, longestRestMs)) {
    try {
      await executeChild(cleanUpWorkflowType, {
        workflowId: cleanUpWorkflowId(order.tenantId, order.cleansUp!),
        ...{ taskQueue: workflowQueue, args: [order], memo: { ...memo } },
        parentClosePolicy: ParentClosePolicy.ABANDON,
        workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
      });
      return;
    } catch (error) {
      // Ended outside Muster: what is left of it is found by the next who asks; the others are cleaned up all the same.
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) return;
    }
    await sleep(restMs);
  }
}

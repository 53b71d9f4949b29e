/** Record-keeping, on a queue of its own and retried by Temporal without limit (design: laws 3 and 5). */
import { Context } from '@temporalio/activity';
import { whileDoing } from '../programs/log';
import type { Store } from '../store/contract';
import type { HolderActivities, JournalActivities, PeopleActivities } from './contract';
import type { Observer } from './observer';
import { createHolderActivities } from './run-holder';

export function createJournalActivities(
  store: Pick<Store, 'journal' | 'tokens'>,
  observer?: Observer,
): JournalActivities & PeopleActivities & HolderActivities {
  return {
    ...createHolderActivities(),
    readPeople: ({ ids }) => store.tokens.people(ids),
    appendJournal: (batch) =>
      whileDoing({ runId: batch.runId, flush: batch.flush }, async () => {
        try {
          const head = await store.journal.append(batch);
          observer?.journalFlushed({
            procedure: procedureOf(Context.current().info.workflowType),
            events: batch.events,
          });
          return head;
        } catch (error) {
          observer?.journalFailed(error);
          throw error;
        }
      }),
  };
}

/** `pushButtonRecovery` is the workflow of procedure push-button-recovery. */
function procedureOf(workflowType = ''): string {
  return workflowType.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

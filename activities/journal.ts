/** Record-keeping, on a queue of its own and retried by Temporal without limit (design: laws 3 and 5). */
import type { Store } from '../store/contract';
import type { JournalActivities } from './contract';

export function createJournalActivities(store: Pick<Store, 'journal'>): JournalActivities {
  return { appendJournal: (batch) => store.journal.append(batch) };
}

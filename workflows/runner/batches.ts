/** What goes into one flush of the journal. Pure. */
import type { RunEvent } from '../../model/events';

export const maxBatchEvents = 200;
/** A quarter of the 2 MiB that Temporal takes as one payload, whatever the characters weigh in UTF-8 (at most 3 bytes each). */
export const maxBatchCharacters = 512 * 1024;

/** The next events from `from` on that fit together; always at least one where there is one. */
export function nextBatch(events: readonly RunEvent[], from: number): RunEvent[] {
  const batch: RunEvent[] = [];
  let characters = 0;
  for (let at = from; at < events.length && batch.length < maxBatchEvents; at += 1) {
    characters += JSON.stringify(events[at]).length;
    if (batch.length > 0 && characters > maxBatchCharacters) break;
    batch.push(events[at]!);
  }
  return batch;
}

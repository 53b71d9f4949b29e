/** What goes into one flush of the journal, and into one answer about a running run. Pure. */
import type { RunEvent } from '../../model/events';

export const maxBatchEvents = 200;
/** A quarter of the 2 MiB that Temporal takes as one payload, whatever the characters weigh in UTF-8 (at most 3 bytes each). */
export const maxBatchCharacters = 512 * 1024;

export interface BatchLimits {
  readonly events: number;
  readonly characters: number;
}

const flushLimits: BatchLimits = { events: maxBatchEvents, characters: maxBatchCharacters };
/** An answer of more than 4 MiB does not come through gRPC; a character weighs at most 3 bytes in UTF-8. */
const answerLimits: BatchLimits = { events: 5_000, characters: 1024 * 1024 };

/** The next events from `from` on that fit together; always at least one where there is one. */
export function nextBatch(events: readonly RunEvent[], from: number, limits = flushLimits): RunEvent[] {
  const batch: RunEvent[] = [];
  let characters = 0;
  for (let at = from; at < events.length && batch.length < limits.events; at += 1) {
    characters += JSON.stringify(events[at]).length;
    if (batch.length > 0 && characters > limits.characters) break;
    batch.push(events[at]!);
  }
  return batch;
}

/** Events for one answer, and where the next one begins; null: these are the last. */
export function nextAnswer(events: readonly RunEvent[], from: number): { events: RunEvent[]; next: number | null } {
  const page = nextBatch(events, from, answerLimits);
  const next = from + page.length;
  return { events: page, next: next < events.length ? next : null };
}

/**
 * A plan's closing event names the last hash of each of its runs' records, so that none of them can be changed, shortened or
 * taken away without its being seen in the plan's own record, which the ledger holds.
 */
import { eventOfRow, type JournalRow } from './row';

/** `heads`: run id -> hash of the last row of its record, as it is found now. Each finding is a sentence; none: all is whole. */
export function verifyChildren(closing: JournalRow, heads: ReadonlyMap<string, string>): string[] {
  const event = eventOfRow(closing);
  if (event.kind !== 'run-closed') return [`row ${closing.sequence} of run ${closing.runId} is no closing event`];
  return Object.entries(event.data.childHashes).flatMap(([runId, needed]) => {
    const found = heads.get(runId);
    if (found === undefined) return [`the record of run ${runId} is missing`];
    return found === needed ? [] : [`the record of run ${runId} ends with hash ${found}, needed ${needed}`];
  });
}

/** The knock before each update of people (api/temporal/acts.ts says what it is for). */
import { setHandler, upsertMemo } from '@temporalio/workflow';
import { knockSignal } from './messages';

/** It leads to a command, so that its task, with all that came in it, is never taken together with the next one. */
export function hearKnocks(): void {
  let knocks = 0;
  setHandler(knockSignal, () => upsertMemo({ knocks: (knocks += 1) }));
}

/** One run that a plan has started, and what of all of them goes into its steps' results. */
import type { Shown, ChildWaits } from './messages';
import type { ChildOrder } from './plan-orders';
import { placeOfNode } from './plan-undo';
import type { RunOutcome } from './runner/conduct';
import { keyOf } from './runner/run';
import type { Wake } from './wake';

export interface Child extends Pick<ChildOrder, 'id' | 'name' | 'runId' | 'workflowId'> {
  proven: boolean;
  /** It has given up; while it has no outcome it is being undone. */
  gaveUp: boolean;
  /** How well; null: not proven, or told by an earlier version. */
  shown: Shown | null;
  /** Null while it runs. */
  outcome: RunOutcome | null;
  /** What of it waits for people. */
  waits: ChildWaits | null;
  /** Resolves when it is proven or over; and when it is over. No condition for each: all are asked after every event. */
  readonly provenOrOver: Wake;
  /** Resolves when it has given up. */
  readonly givesUp: Wake;
  readonly over: Wake;
  /** The next time that something of it begins to wait for people. */
  nextWait: Wake;
}

/** What it left by decision, in words, as its undo in the plan would say it. */
export function leftByRun({ id, outcome }: Child): string[] {
  return (outcome?.left ?? []).map((words) => `${keyOf(placeOfNode(id))}: ${words}`);
}

export interface Recovered {
  /** null: it was given up, and no run of it has an outcome. */
  readonly runId: string | null;
  readonly state: RunOutcome['state'] | 'proven';
}

/** How far the latest run of a server or an included runbook is. */
export interface ChildStanding extends Pick<Child, 'proven' | 'shown'> {
  /** null: it runs. */
  readonly state: RunOutcome['state'] | null;
}

/** Names of the servers and included runbooks whose runs did not end well, or in which something was skipped. */
export interface Finished {
  readonly failed: readonly string[];
  readonly withExceptions: readonly string[];
}

export const isException = ({ failed, withExceptions }: Finished): boolean => failed.length + withExceptions.length > 0;

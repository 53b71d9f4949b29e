/** Which of the notifications that are due for one recipient go as one message. */

export interface Due {
  readonly notificationId: string;
  /** As notice.ts' causeOf has it. */
  readonly cause: string;
}

/** With more causes than this at once, one message says all: nobody reads thirty mails at night. */
export const mostCauses = 5;

/** Each list is one message: one cause, or, when there are very many causes, all of them. In the order in which they came. */
export function parcelsOf<T extends Due>(due: readonly T[]): T[][] {
  const byCause = new Map<string, T[]>();
  for (const one of due) byCause.set(one.cause, [...(byCause.get(one.cause) ?? []), one]);
  const lists = [...byCause.values()];
  return lists.length > mostCauses ? [lists.flat()] : lists;
}

export const longestPauseMs = 15 * 60_000;

/** The pause before the next try: 10 s, 20 s, 40 s … up to a quarter of an hour. `failures` counts from 1. */
export function pauseAfterMs(failures: number): number {
  return Math.min(10_000 * 2 ** Math.min(Math.max(failures, 1) - 1, 20), longestPauseMs);
}

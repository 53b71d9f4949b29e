/** When people are reminded: twice as late each time, so that a run parked for weeks does not fill its history. */

const longestReminderMs = 8 * 60 * 60 * 1000;

export const laterReminder = (waitMs: number): number => Math.max(waitMs, Math.min(waitMs * 2, longestReminderMs));

/** What holds where neither the request, nor the runbook, nor the server says otherwise; docs/api.md prints it. */
import type { Intent, RecoveryOrder } from '../order';

export const orderDefaults = {
  /** A source that answers does so at once; one that does not must not hold the recovery up. */
  sourceDeadlineMs: 20_000,
  /** A planned recovery waits for the source on purpose: until it has shut itself down, and for its last cycle. */
  plannedSourceDeadlineMs: 300_000,
  proof: { heartbeatTimeoutMs: 300_000, stableForMs: 30_000, screenshot: true },
  retry: { maxAttempts: 3, firstDelayMs: 2_000, factor: 2, maxDelayMs: 60_000 },
  reminderMs: 900_000,
  /** A rehearsal that waits for people for so long is undone: nobody misses it. */
  rehearsalGiveUpAfterMs: 4 * 3_600_000,
} as const satisfies Partial<RecoveryOrder> & { plannedSourceDeadlineMs: number; rehearsalGiveUpAfterMs: number };

export const sourceDeadlineMs = (intent: Intent): number =>
  intent === 'planned' ? orderDefaults.plannedSourceDeadlineMs : orderDefaults.sourceDeadlineMs;

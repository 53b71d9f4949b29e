/** What is told of effects while they run, beside the record: for metrics and logs. Nothing here may fail or wait. */
import type { PrepareResult } from '../disks/contract';
import type { RunEvent } from '../model/events';
import type { RecoveryOrder } from '../model/order';
import type { ServerSpec } from '../model/server';
import type { Effect } from '../model/steps';
import type { CycleReport } from '../replication/contract';

export const attemptOutcomes = [
  'succeeded',
  'TransientError',
  'PermanentError',
  'OperatorError',
  'Cancelled',
  'WorkerShutdown',
] as const;
export type AttemptOutcome = (typeof attemptOutcomes)[number];

export interface AttemptEnd {
  readonly effect: Effect;
  readonly order: RecoveryOrder;
  /** Name of the activity. */
  readonly activity: string;
  readonly outcome: AttemptOutcome;
  readonly durationMs: number;
  /** What failed, where something did; not shortened, and perhaps of foreign origin. */
  readonly message: string | null;
}

export interface Observer {
  attemptStarted(attempt: Pick<AttemptEnd, 'effect' | 'order' | 'activity'>): void;
  attemptEnded(attempt: AttemptEnd): void;
  /** The effect had to wait so long for the lease on what it changes. */
  leaseHad(resource: 'replica' | 'machine', waitedMs: number): void;
  evidenceKept(sizeBytes: number): void;
  /** A run has copies of its disks; so many bytes were copied for it by the attempt that completed them. */
  disksCopied(order: RecoveryOrder, copiedBytes: number): void;
  /** A replica as a session finds it at the start of a stretch; the time of its latest point, where it has one. */
  replicaSeen(server: ServerSpec, points: readonly { readonly takenAt: string }[]): void;
  cycleEnded(server: ServerSpec, report: CycleReport): void;
  cycleFailed(server: ServerSpec, error: unknown): void;
  /** Inoculations were worked out ahead, or looked at, and what came of it was kept. */
  inoculationPrepared(server: ServerSpec, results: readonly PrepareResult[]): void;
  /** This worker replicates the server no longer: another one does, a run holds the replica, or it was removed. */
  sessionLeft(server: ServerSpec): void;
  /** Stored. `procedure` is the run's. */
  journalFlushed(batch: { readonly procedure: string; readonly events: readonly RunEvent[] }): void;
  journalFailed(error: unknown): void;
}

/** Tells nobody. */
export const unobserved: Observer = {
  attemptStarted: () => undefined,
  attemptEnded: () => undefined,
  leaseHad: () => undefined,
  evidenceKept: () => undefined,
  disksCopied: () => undefined,
  replicaSeen: () => undefined,
  cycleEnded: () => undefined,
  cycleFailed: () => undefined,
  inoculationPrepared: () => undefined,
  sessionLeft: () => undefined,
  journalFlushed: () => undefined,
  journalFailed: () => undefined,
};

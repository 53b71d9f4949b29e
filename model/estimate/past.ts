/** How long the steps of one run took the machine, taken from its events when it is over. */
import { clocksOf } from '../clocks';
import type { RunEvent } from '../events';
import { objectivesOf } from '../objectives';
import type { Mode } from '../order';
import type { RecoveryOption } from '../replica';
import { readWaitForPlace } from '../results';
import { provingStep } from '../steps';

/** One run that went to its end without an exception. */
export interface PastTimes {
  readonly runId: string;
  readonly procedure: string;
  readonly mode: Mode;
  readonly option: RecoveryOption;
  readonly serverId: string;
  readonly siteId: string;
  readonly diskBytes: number;
  readonly closedAt: string;
  /** From the run's first event to its proven boot, without waiting for people. */
  readonly toProofMs: number;
  /**
   * How old its recovery point was at the loss, or at the button where nobody knew of one. null: somebody asked for another than
   * the latest, which says nothing of the next run. Absent: kept by an earlier version.
   */
  readonly rpoMs?: number | null;
  /** Machine time by step; a step that waits for others of its plan is not among them. */
  readonly steps: Readonly<Record<string, number>>;
}

/** Waits for the rest of a plan, which says nothing of this server. */
export const waitsForOthers = (step: string): boolean => step === 'await-plan';

/** null for what is no recovery of a server, is not over, or was not a plain success. */
export function pastTimesOf(events: readonly RunEvent[]): PastTimes | null {
  const opened = events.find((event) => event.kind === 'run-opened');
  const closed = events.find((event) => event.kind === 'run-closed');
  if (opened === undefined || closed?.data.state !== 'succeeded') return null;
  const proven = events.findIndex((event) => event.kind === 'step-done' && event.step === provingStep);
  if (proven < 0) return null;
  const untilProof = clocksOf(events.slice(0, proven + 1), events[proven]!.at);
  const all = { ...clocksOf(events, closed.at).steps, ...untilProof.steps };
  const { runId, procedure, mode, option, server, target } = opened.data.order;
  // Who runs next may have to wait for others as well, and is asked for then: `simulate` lets them wait for each other.
  const forPlaceMs = waitedForPlace(events);
  const machineMs = (step: string, ms: number): number => (step === startingStep ? Math.max(0, ms - forPlaceMs) : ms);
  return {
    ...{ runId, procedure, mode, option, serverId: server.id, siteId: target.siteId, closedAt: closed.at },
    diskBytes: diskBytesOf(server),
    toProofMs: Math.max(0, untilProof.run.machineMs - forPlaceMs),
    rpoMs: rpoOf(events, closed.at),
    steps: Object.fromEntries(
      Object.entries(all)
        .filter(([step]) => !waitsForOthers(step))
        .map(([step, clocks]) => [step, machineMs(step, clocks.machineMs)]),
    ),
  };
}

/** Where a machine waits for its turn to boot. */
export const startingStep = 'power-on';

/** Milliseconds that its starts waited for a place to boot. */
function waitedForPlace(events: readonly RunEvent[]): number {
  return events.reduce((sum, event) => {
    const isStart = event.kind === 'attempt-succeeded' && event.step === startingStep && event.item === null;
    return isStart && !event.data.undo ? sum + readWaitForPlace(event.data.result) : sum;
  }, 0);
}

function rpoOf(events: readonly RunEvent[], closedAt: string): number | null {
  const isLatest = (point: string | undefined): boolean => point === undefined || point === 'latest';
  const isChosen = events.some(
    (event) =>
      (event.kind === 'run-opened' && !isLatest(event.data.order.point)) ||
      (event.kind === 'decided' && !isLatest(event.data.input?.point)),
  );
  const actualMs = isChosen ? null : (objectivesOf(events, closedAt)?.rpo.actualMs ?? null);
  // A point of the final cycle is younger than the button.
  return actualMs === null ? null : Math.max(0, actualMs);
}

export const diskBytesOf = ({ disks }: { readonly disks: readonly { readonly sizeBytes: number }[] }): number =>
  disks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

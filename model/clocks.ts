/**
 * Three clocks, from the events alone: elapsed = machine time + waiting for people.
 *
 * Waiting is every moment in which at least one parking or gate is open; several at once count once. What a machine does
 * on other disks meanwhile counts as waiting too: the run cannot end before the person has answered. A decision ends its
 * parking; going back, or an abort, ends all that are open, except those of an undo, which nothing interrupts.
 */
import type { RunEvent } from './events';
import type { DecisionKind } from './steps';
import { intersection, lengthMs, union } from './intervals';
import type { Interval } from './intervals';

export interface Clocks {
  readonly elapsedMs: number;
  readonly machineMs: number;
  readonly waitingMs: number;
}

export interface ParkingClock {
  readonly epoch: number;
  readonly step: string;
  readonly item: string | null;
  readonly kind: 'stuck' | 'gate';
  readonly undo: boolean;
  readonly since: string;
  /** null: still open. */
  readonly until: string | null;
  readonly waitingMs: number;
}

export interface RunClocks {
  readonly run: Clocks;
  /** By step id; a step that ran several times has the sum, its undo included. */
  readonly steps: Readonly<Record<string, Clocks>>;
  /** In the order in which they were opened. */
  readonly parkings: readonly ParkingClock[];
}

/** Whether a decision answers the parking, or only marks it: claimed, released, held, an approval taken back. */
export const endsParking: Readonly<Record<DecisionKind, boolean>> = {
  retry: true,
  skip: true,
  provide: true,
  approve: true,
  'go-on': true,
  commit: true,
  'roll-back': true,
  abort: true,
  withdraw: false,
  hold: false,
  claim: false,
  release: false,
};

/**
 * `now` matters for a run that is open; events that are later than it (another host's clock) still count.
 * Events are taken by their time, so batches may come in any order. No events: all clocks are zero.
 */
export function clocksOf(events: readonly RunEvent[], now: string): RunClocks {
  const ordered = [...events].sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
  const first = ordered[0];
  if (first === undefined) return { run: clocksWithin([], []), steps: {}, parkings: [] };
  const end = endOf(ordered, now);
  const parkings = parkingsOf(ordered).map((parking) => closeParking(parking, end));
  const waits = parkings.map(waitOf);
  const steps = [...stepIntervals(ordered, end)].map(([step, intervals]): [string, Clocks] => [
    step,
    clocksWithin(intervals, parkings.filter((parking) => parking.step === step).map(waitOf)),
  ]);
  return {
    run: clocksWithin([{ from: Date.parse(first.at), to: end }], waits),
    steps: Object.fromEntries(steps),
    parkings,
  };
}

function endOf(ordered: readonly RunEvent[], now: string): number {
  const closed = ordered.find((event) => event.kind === 'run-closed');
  if (closed) return Date.parse(closed.at);
  return Math.max(Date.parse(now), Date.parse(ordered[ordered.length - 1]!.at));
}

/** Of the time in which something was active: how much of it people were waited for. */
export function clocksWithin(active: readonly Interval[], waits: readonly Interval[]): Clocks {
  const elapsedMs = lengthMs(active);
  const waitingMs = lengthMs(intersection(union(active), union(waits)));
  return { elapsedMs, machineMs: elapsedMs - waitingMs, waitingMs };
}

export type OpenParking = Omit<ParkingClock, 'waitingMs'>;

/** Pairs every parking with what ended it. `ordered` is by time. */
function parkingsOf(ordered: readonly RunEvent[]): OpenParking[] {
  return ordered.reduce<readonly OpenParking[]>(nextParkings, []).slice();
}

/** One event more. The same list where it changes nothing. */
export function nextParkings(all: readonly OpenParking[], event: RunEvent): readonly OpenParking[] {
  const end = (which: (parking: OpenParking) => boolean): readonly OpenParking[] =>
    all.some((one) => one.until === null && which(one))
      ? all.map((one) => (one.until === null && which(one) ? { ...one, until: event.at } : one))
      : all;
  switch (event.kind) {
    case 'parked':
    case 'gate-opened':
      return [...all, openedBy(event)];
    case 'decided': {
      const { decision, epoch } = event.data;
      const givesUp = decision === 'abort' || decision === 'roll-back';
      return end((parking) => (endsParking[decision] && parking.epoch === epoch) || (givesUp && !parking.undo));
    }
    case 'rewound':
    case 'undo-started':
      return end((parking) => !parking.undo);
    case 'run-closed':
      return end(() => true);
    default:
      return all;
  }
}

function openedBy(event: Extract<RunEvent, { kind: 'parked' | 'gate-opened' }>): OpenParking {
  return {
    epoch: event.data.epoch,
    step: event.step ?? '',
    item: event.item,
    kind: event.kind === 'parked' ? 'stuck' : 'gate',
    undo: event.kind === 'parked' && event.data.undo,
    since: event.at,
    until: null,
  };
}

function closeParking(parking: OpenParking, end: number): ParkingClock {
  const until = parking.until === null ? end : Date.parse(parking.until);
  return { ...parking, waitingMs: Math.max(0, until - Date.parse(parking.since)) };
}

const waitOf = ({ since, waitingMs }: ParkingClock): Interval => ({
  from: Date.parse(since),
  to: Date.parse(since) + waitingMs,
});

/** When each step was worked on: from its announcement, or the first try of its undo, to what ended it. */
function stepIntervals(ordered: readonly RunEvent[], end: number): Map<string, Interval[]> {
  const done = new Map<string, Interval[]>();
  const open = new Map<string, number>();
  const close = (step: string, to: number): void => {
    const from = open.get(step);
    if (from === undefined) return;
    open.delete(step);
    done.set(step, [...(done.get(step) ?? []), { from, to }]);
  };
  for (const event of ordered) {
    const at = Date.parse(event.at);
    const { step } = event;
    if (beginsStep(event)) {
      if (step !== null && !open.has(step)) open.set(step, at);
    } else if (endsStep(event)) close(step ?? '', at);
    else if (event.kind === 'rewound' || event.kind === 'undo-started')
      [...open.keys()].forEach((one) => close(one, at));
  }
  [...open.keys()].forEach((one) => close(one, end));
  return done;
}

export const beginsStep = ({ kind }: RunEvent): boolean =>
  kind === 'step-announced' || kind === 'attempt-started' || kind === 'parked' || kind === 'gate-opened';

/** A step over several disks ends as a whole; only its undo ends disk by disk. */
export function endsStep({ kind, item }: RunEvent): boolean {
  if (kind === 'step-undone') return true;
  return item === null && (kind === 'step-done' || kind === 'step-not-applicable' || kind === 'step-skipped');
}

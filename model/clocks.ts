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

function clocksWithin(active: readonly Interval[], waits: readonly Interval[]): Clocks {
  const elapsedMs = lengthMs(active);
  const waitingMs = lengthMs(intersection(union(active), union(waits)));
  return { elapsedMs, machineMs: elapsedMs - waitingMs, waitingMs };
}

type OpenParking = Omit<ParkingClock, 'waitingMs'>;

/** Pairs every parking with what ended it. `ordered` is by time. */
export function parkingsOf(ordered: readonly RunEvent[]): OpenParking[] {
  const all: OpenParking[] = [];
  const end = (at: string, which: (parking: OpenParking) => boolean): void =>
    all.forEach((one, i) => {
      if (one.until === null && which(one)) all[i] = { ...one, until: at };
    });
  for (const event of ordered) {
    if (event.kind === 'parked' || event.kind === 'gate-opened') all.push(openedBy(event));
    else if (event.kind === 'decided') {
      const { decision, epoch } = event.data;
      if (endsParking[decision]) end(event.at, (parking) => parking.epoch === epoch);
      if (decision === 'abort' || decision === 'roll-back') end(event.at, (parking) => !parking.undo);
    } else if (event.kind === 'rewound' || event.kind === 'undo-started') end(event.at, (parking) => !parking.undo);
    else if (event.kind === 'run-closed') end(event.at, () => true);
  }
  return all;
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
    if (begins(event)) {
      if (step !== null && !open.has(step)) open.set(step, at);
    } else if (ends(event)) close(step ?? '', at);
    else if (event.kind === 'rewound' || event.kind === 'undo-started')
      [...open.keys()].forEach((one) => close(one, at));
  }
  [...open.keys()].forEach((one) => close(one, end));
  return done;
}

const begins = ({ kind }: RunEvent): boolean =>
  kind === 'step-announced' || kind === 'attempt-started' || kind === 'parked' || kind === 'gate-opened';

/** A step over several disks ends as a whole; only its undo ends disk by disk. */
function ends({ kind, item }: RunEvent): boolean {
  if (kind === 'step-undone') return true;
  return item === null && (kind === 'step-done' || kind === 'step-not-applicable' || kind === 'step-skipped');
}

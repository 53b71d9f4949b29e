/**
 * What a plan needs to know of each of its servers' runs, folded event by event into the run's row, so that 500 servers are shown
 * without 500 records being read.
 */
import type { RunEvent } from './events';
import { beginsStep, endsStep, nextParkings, type OpenParking } from './clocks';
import { nextObjectives, openObjectives, type ObjectiveState } from './objectives';

export interface RunFacts {
  /** null: the run is a plan. */
  readonly server: {
    readonly tier: number;
    readonly siteId: string;
    readonly machineName: string;
    readonly objectives: ObjectiveState;
  } | null;
  /** When people were waited for, and at which step; `until` null: now. */
  readonly waits: readonly Wait[];
  readonly steps: Readonly<Record<string, StepTime>>;
  /** Steps that were skipped, by their undo where it was that; a run with some did not succeed as one without. */
  readonly skipped: readonly string[];
}

export interface Wait {
  readonly epoch: number;
  readonly step: string;
  readonly kind: 'stuck' | 'gate';
  readonly undo: boolean;
  readonly since: string;
  readonly until: string | null;
}

/** How long a step was worked on, waiting for people included; `since` while it is. */
export interface StepTime {
  readonly elapsedMs: number;
  readonly since: string | null;
}

/** undefined before the run was opened. The same value where the event changes nothing. */
export function nextFacts(facts: RunFacts | undefined, event: RunEvent): RunFacts | undefined {
  if (event.kind === 'run-opened') {
    const { order } = event.data;
    const { tier } = order.server;
    const { siteId, machineName } = order.target;
    return { ...nothing, server: { tier, siteId, machineName, objectives: openObjectives(order) } };
  }
  if (event.kind === 'plan-opened') return { ...nothing, server: null };
  if (facts === undefined) return undefined;
  const { server, waits, steps, skipped } = facts;
  const objectives = server && nextObjectives(server.objectives, event);
  const next: RunFacts = {
    server: server && objectives !== server.objectives ? { ...server, objectives: objectives! } : server,
    waits: nextWaits(waits, event),
    steps: nextSteps(steps, event),
    skipped: nextSkipped(skipped, event, server?.objectives.announced ?? []),
  };
  const same = next.server === server && next.waits === waits && next.steps === steps && next.skipped === skipped;
  return same ? facts : next;
}

const nothing = { waits: [], steps: {}, skipped: [] };

function nextWaits(waits: readonly Wait[], event: RunEvent): readonly Wait[] {
  const parkings = nextParkings(waits as readonly OpenParking[], event);
  if (parkings === waits) return waits;
  return parkings.map(({ epoch, step, kind, undo, since, until }) => ({ epoch, step, kind, undo, since, until }));
}

function nextSteps(steps: RunFacts['steps'], event: RunEvent): RunFacts['steps'] {
  if (event.kind === 'rewound' || event.kind === 'undo-started' || event.kind === 'run-closed') {
    const open = Object.entries(steps).filter(([, { since }]) => since !== null);
    if (open.length === 0) return steps;
    return { ...steps, ...Object.fromEntries(open.map(([id, time]) => [id, ended(time, event.at)])) };
  }
  if (event.step === null) return steps;
  const time = steps[event.step] ?? { elapsedMs: 0, since: null };
  if (beginsStep(event)) return time.since !== null ? steps : { ...steps, [event.step]: { ...time, since: event.at } };
  return endsStep(event) && time.since !== null ? { ...steps, [event.step]: ended(time, event.at) } : steps;
}

const ended = ({ elapsedMs, since }: StepTime, at: string): StepTime => ({
  elapsedMs: elapsedMs + Math.max(0, Date.parse(at) - Date.parse(since!)),
  since: null,
});

function nextSkipped(skipped: readonly string[], event: RunEvent, announced: readonly string[]): readonly string[] {
  switch (event.kind) {
    case 'step-skipped':
      return event.step === null || skipped.includes(event.step) ? skipped : [...skipped, event.step];
    case 'step-done':
      return event.item === null ? without(skipped, event.step) : skipped;
    case 'decided':
      if (event.data.decision !== 'skip' || event.step === null || skipped.includes(event.step)) return skipped;
      return [...skipped, event.step];
    case 'rewound': {
      const again = announced.slice(announced.indexOf(event.data.to));
      return skipped.some((one) => again.includes(one)) ? skipped.filter((one) => !again.includes(one)) : skipped;
    }
    default:
      return skipped;
  }
}

/** A step that was done after all is no exception any more. */
const without = (skipped: readonly string[], step: string | null): readonly string[] =>
  step !== null && skipped.includes(step) ? skipped.filter((one) => one !== step) : skipped;

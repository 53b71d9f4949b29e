/**
 * What a plan needs to know of each of its servers' runs, folded event by event into the run's row, so that 500 servers are shown
 * without 500 records being read.
 */
import type { RunEvent } from './events';
import { beginsStep, endsStep, nextParkings, type OpenParking } from './clocks';
import { isRehearsal } from './rehearsal';
import { isScriptItem } from './runbook/script-places';
import { nextObjectives, openObjectives, type ObjectiveState } from './objectives';
import { nextRehearsed, type RehearsedFacts } from './rehearsed-facts';
import { nextSkips, type Skip } from './skips';

export interface RunFacts {
  /** null: the run is a plan. */
  readonly server: {
    readonly tier: number;
    readonly siteId: string;
    readonly machineName: string;
    readonly objectives: ObjectiveState;
    /** What a rehearsal showed of its isolation and its clean-up; absent: no rehearsal, or a row of an earlier version. */
    readonly rehearsed?: RehearsedFacts;
  } | null;
  /** When people were waited for, and at which step; `until` null: now. */
  readonly waits: readonly Wait[];
  readonly steps: Readonly<Record<string, StepTime>>;
  /** Steps that were skipped, by their undo where it was that; a run with some did not succeed as one without. */
  readonly skipped: readonly string[];
  /** The same with who and why; of a plan, of its servers, too. Absent in rows of earlier versions. */
  readonly skips?: readonly Skip[];
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
    const rehearsed = isRehearsal(order) ? { rehearsed: { isolation: null, clean: null } } : {};
    return { ...nothing, server: { tier, siteId, machineName, objectives: openObjectives(order), ...rehearsed } };
  }
  if (event.kind === 'plan-opened') return { ...nothing, server: null };
  if (facts === undefined) return undefined;
  const { server, waits, steps } = facts;
  const skipped = nextSkipped(facts.skipped, event, server?.objectives.announced ?? []);
  const next: RunFacts = {
    server: nextServer(server, event),
    waits: nextWaits(waits, event),
    steps: nextSteps(steps, event),
    skipped,
    ...skipsOf(facts, skipped, event),
  };
  const same = next.server === server && next.waits === waits && next.steps === steps && next.skips === facts.skips;
  return same && skipped === facts.skipped ? facts : next;
}

const nothing = { waits: [], steps: {}, skipped: [], skips: [] };

function nextServer(server: RunFacts['server'], event: RunEvent): RunFacts['server'] {
  if (server === null) return null;
  const objectives = nextObjectives(server.objectives, event);
  const rehearsed = server.rehearsed && nextRehearsed(server.rehearsed, event);
  if (objectives === server.objectives && rehearsed === server.rehearsed) return server;
  return { ...server, objectives, ...(rehearsed === undefined ? {} : { rehearsed }) };
}

/** A row that an earlier version began does not know what was skipped before: its list stays absent. */
function skipsOf(facts: RunFacts, skipped: readonly string[], event: RunEvent): { skips?: readonly Skip[] } {
  const { server, skips, waits } = facts;
  if (skips === undefined) return {};
  const isUndo = (epoch: number): boolean => waits.some((wait) => wait.epoch === epoch && wait.undo);
  const next = nextSkips(skips, event, isUndo);
  if (server === null) return { skips: next };
  const again = event.kind === 'rewound' ? stepsFrom(event.data.to, server.objectives.announced) : [];
  // A step of a server that was done after all is no exception; a script around it is one all the same.
  const stands = ({ step, item }: Skip): boolean =>
    !again.includes(step) && (skipped.includes(step) || isScriptItem(item));
  return { skips: next.every(stands) ? next : next.filter(stands) };
}

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
      const again = stepsFrom(event.data.to, announced);
      return skipped.some((one) => again.includes(one)) ? skipped.filter((one) => !again.includes(one)) : skipped;
    }
    default:
      return skipped;
  }
}

const stepsFrom = (to: string, announced: readonly string[]): readonly string[] =>
  announced.slice(announced.indexOf(to));

/** A step that was done after all is no exception any more. */
const without = (skipped: readonly string[], step: string | null): readonly string[] =>
  step !== null && skipped.includes(step) ? skipped.filter((one) => one !== step) : skipped;

/** How long a running run will still take the machine, from past runs, and how sure that is. What people take is not in it. */
import { everyServerOf } from '../every-server';
import { timesOf, type Expect, type Pace } from './expectations';
import { bootSteps, leastSure, type Expected, type ExpectedServer, type Sureness } from './expected';
import { provingStep } from '../steps';
import { startingStep, waitsForOthers } from './past';
import {
  simulate,
  type ExpectedTimes,
  type OrderInThought,
  type ServerInThought,
  type SimulatedPlan,
} from './simulate';

export interface TimeLeft {
  /** To the proof of what is recovered; once that is there, to the run's end. */
  readonly until: 'proof' | 'end';
  /** The usual; null: unknown. */
  readonly ms: number | null;
  /** A quick run and a slow one: nine of ten took longer, and nine of ten less. */
  readonly lowMs: number | null;
  readonly highMs: number | null;
  /** It may take longer: some of what is left never ran here. */
  readonly atLeast: boolean;
  /** Servers that are not proven, and of which no past run tells anything. */
  readonly neverRan: number;
  /** How many runs stand behind it, where they are fewest; 0: none. */
  readonly runs: number;
  /** null: nothing is known. */
  readonly from: Expected['from'] | null;
  readonly sure: Sureness | null;
  /** Why nothing can be said; null where something is. */
  readonly unknown: string | null;
}

type Left = Pick<TimeLeft, 'ms' | 'lowMs' | 'highMs' | 'atLeast' | 'runs' | 'from' | 'sure'>;

/** A step of the run, in the order in which the procedure has them. */
export interface StepNow {
  readonly id: string;
  /** done: also skipped, not applicable and undone. */
  readonly state: 'pending' | 'running' | 'done';
  /** Of the step so far, without waiting for people. */
  readonly machineMs: number;
}

export function unknownLeft(because: string, until: TimeLeft['until'] = 'proof'): TimeLeft {
  return { ...{ until, ...nothing, neverRan: 0 }, unknown: because };
}

const nothing = { ms: null, lowMs: null, highMs: null, atLeast: true, runs: 0, from: null, sure: null } as const;

/** Of one server's run. A step that takes longer than usual has nothing left: it may end at any moment. */
export function timeLeft(steps: readonly StepNow[], expected: ExpectedServer | null): TimeLeft {
  const proving = steps.findIndex(({ id }) => id === provingStep);
  const until = proving >= 0 && steps[proving]!.state !== 'done' ? 'proof' : 'end';
  const meant = until === 'proof' ? steps.slice(0, proving + 1) : steps.filter(({ id }) => !waitsForOthers(id));
  const left = leftOf(meant, expected);
  if (left.ms !== null) return { until, ...left, neverRan: 0, unknown: null };
  return {
    ...unknownLeft('neither this server nor one of similar size at its site has such a run behind it', until),
    neverRan: 1,
  };
}

function leftOf(steps: readonly StepNow[], expected: ExpectedServer | null): Left {
  if (expected === null) return nothing;
  const open = steps.filter(({ state }) => state !== 'done');
  const known = knownOf(open, expected);
  if (open.length > 0 && known.length === 0) return nothing;
  const ms = sumOf(known.map(({ leftMs }) => leftMs));
  const { toProof } = expected;
  return {
    ...{ ms, lowMs: stretched(ms, toProof, 'lowMs'), highMs: stretched(ms, toProof, 'highMs'), from: toProof.from },
    atLeast: known.length < open.length,
    runs: Math.min(toProof.runs, ...known.map(({ step }) => step.runs)),
    sure: leastSure([toProof.sure, ...known.map(({ step }) => step.sure)]),
  };
}

const knownOf = (steps: readonly StepNow[], expected: ExpectedServer) =>
  steps.flatMap(({ id, state, machineMs }) => {
    const step = expected.steps[id];
    if (state === 'done' || step === undefined) return [];
    return [{ id, step, leftMs: Math.max(0, step.medianMs - machineMs) }];
  });

/** Steps seldom are all quick or all slow in one run: what is left is stretched as whole runs are. */
const stretched = (ms: number, { medianMs, ...paces }: Expected, pace: Pace): number =>
  pace === 'medianMs' || medianMs === 0 ? ms : Math.round((ms * paces[pace]) / medianMs);

const sumOf = (all: readonly number[]): number => all.reduce((sum, one) => sum + one, 0);

/** The same for `simulate`, which has machines boot in turn. Who waits for a turn does so in its start, and has had nothing of that yet. */
function timesLeft(steps: readonly StepNow[], expected: ExpectedServer | null, pace: Pace): ExpectedTimes | null {
  if (expected === null || leftOf(steps, expected).ms === null) return null;
  const known = knownOf(steps, expected);
  const atPace = (all: readonly number[]): number => stretched(sumOf(all), expected.toProof, pace);
  const boot = known.filter(({ id }) => bootSteps.includes(id));
  const wholeMs = atPace(known.map(({ leftMs }) => leftMs));
  const bootMs = atPace(boot.map(({ leftMs }) => leftMs));
  return {
    beforeBootMs: wholeMs - bootMs,
    bootMs,
    bootInTurnMs: atPace(boot.map(({ id, step, leftMs }) => (id === startingStep ? step.medianMs : leftMs))),
    hasTurn: steps.some(({ id, state }) => id === startingStep && state === 'done'),
  };
}

/** A server of a running plan: over, or under way. */
export type ServerNow = { readonly state: 'done' } | { readonly state: 'running'; readonly steps: readonly StepNow[] };

/**
 * Of a plan's run, to the proof of its last server: what is done takes no time, what runs takes what it has left, and what
 * waits takes what is usual of it, in the order and within the limits of the plan. `nowOf` is undefined for servers that have
 * not started. Its quick run is one in which every server is quick: the real one lies between.
 */
export function timeLeftOfPlan(
  order: OrderInThought,
  expect: Expect,
  nowOf: (serverId: string) => ServerNow | undefined,
): TimeLeft {
  const open = everyServerOf(order).filter((server) => nowOf(server.order.server.id)?.state !== 'done');
  const lefts = new Map(open.map((server) => [server.order.server.id, leftOfServer(server, expect, nowOf)]));
  const known = [...lefts.values()].filter(({ ms }) => ms !== null);
  const neverRan = lefts.size - known.length;
  if (open.length === 0) return unknownLeft('every server is proven or given up, and the end waits for people', 'end');
  if (known.length === 0) {
    const of =
      neverRan === 1 ? 'the server that is not proven yet' : `any of the ${neverRan} servers that are not proven yet`;
    return { ...unknownLeft(`no past run tells anything of ${of}`), neverRan };
  }
  const at = (pace: Pace): SimulatedPlan => restOf(order, expect, nowOf, pace);
  const usual = at('medianMs');
  return {
    ...{ until: 'proof', ms: usual.endsMs, lowMs: at('lowMs').endsMs, highMs: at('highMs').endsMs, neverRan },
    atLeast: usual.atLeast || known.some(({ atLeast }) => atLeast),
    runs: known.reduce((least, { runs }) => Math.min(least, runs), Infinity),
    from: known.some(({ from }) => from !== 'this server') ? 'servers of similar size' : 'this server',
    sure: leastSure(known.flatMap(({ sure }) => sure ?? [])),
    unknown: null,
  };
}

/** Until when each server is usually proven, from now, by its id. Those that are over are not among them. */
export function endsOfPlan(
  order: OrderInThought,
  expect: Expect,
  nowOf: (serverId: string) => ServerNow | undefined,
): ReadonlyMap<string, { readonly ms: number; readonly atLeast: boolean }> {
  const open = everyServerOf(order).filter((server) => nowOf(server.order.server.id)?.state !== 'done');
  const lefts = new Map(open.map((server) => [server.order.server.id, leftOfServer(server, expect, nowOf)]));
  const ends = new Map<string, { ms: number; atLeast: boolean }>();
  const collect = ({ servers, parts }: OrderInThought, plan: SimulatedPlan): void => {
    for (const { name, order: of } of servers) {
      const left = lefts.get(of.server.id);
      if (left === undefined) continue;
      const { endsMs: ms, atLeast } = plan.servers.get(name)!;
      // Of a server that runs, some steps may never have run before.
      const isRunning = nowOf(of.server.id) !== undefined;
      ends.set(of.server.id, { ms, atLeast: atLeast || (isRunning && left.atLeast) });
    }
    for (const part of parts) collect(part.order, plan.parts.get(part.name)!);
  };
  collect(order, restOf(order, expect, nowOf, 'medianMs'));
  return ends;
}

/** What is left of the plan, run through in thought: what is over takes no time, and what runs what it has left. */
function restOf(
  order: OrderInThought,
  expect: Expect,
  nowOf: (serverId: string) => ServerNow | undefined,
  pace: Pace,
): SimulatedPlan {
  return simulate(order, (server) => {
    const now = nowOf(server.order.server.id);
    if (now === undefined) return timesOf(expect(server), pace);
    return now.state === 'done' ? over : timesLeft(now.steps, expect(server), pace);
  });
}

const over: ExpectedTimes = { beforeBootMs: 0, bootMs: 0, hasTurn: true };

function leftOfServer(server: ServerInThought, expect: Expect, nowOf: (id: string) => ServerNow | undefined): Left {
  const expected = expect(server);
  const now = nowOf(server.order.server.id);
  if (now?.state === 'running') return leftOf(now.steps, expected);
  if (expected === null) return nothing;
  const { medianMs: ms, lowMs, highMs, runs, from, sure } = expected.toProof;
  return { ms, lowMs, highMs, atLeast: false, runs, from, sure };
}

/** How long a running run will still take the machine, from past runs. */
import type { PlanOrder } from '../plan';
import { leastSure, type ExpectedServer, type Sureness } from './expected';
import { simulate, type TimesOf } from './simulate';

export interface TimeLeft {
  readonly ms: number;
  /** It may take longer: some of what is left never ran here. */
  readonly atLeast: boolean;
  /** How many runs stand behind it, where they are fewest; 0: none. */
  readonly runs: number;
  /** null: nothing is known. */
  readonly sure: Sureness | null;
}

/** A step of the run, in the order in which the procedure has them. */
export interface StepNow {
  readonly id: string;
  /** done: also skipped, not applicable and undone. */
  readonly state: 'pending' | 'running' | 'done';
  /** Of the step so far, without waiting for people. */
  readonly machineMs: number;
}

/** Of one server's run. A step that takes longer than usual has nothing left: it may end at any moment. */
export function timeLeft(steps: readonly StepNow[], expected: ExpectedServer | null): TimeLeft {
  const open = steps.filter(({ state }) => state !== 'done');
  const known = open.flatMap(({ id, machineMs }) => {
    const step = expected?.steps[id];
    return step === undefined ? [] : [{ step, leftMs: Math.max(0, step.medianMs - machineMs) }];
  });
  return {
    ms: known.reduce((sum, { leftMs }) => sum + leftMs, 0),
    atLeast: known.length < open.length,
    runs: known.length === 0 ? 0 : Math.min(...known.map(({ step }) => step.runs)),
    sure: leastSure(known.map(({ step }) => step.sure)),
  };
}

/** A server of a running plan: over, or under way with so much left. */
export type ServerNow = { readonly state: 'done' } | { readonly state: 'running'; readonly leftMs: number };

/**
 * Of a plan's run: what is done takes no time, what runs takes what it has left, and what waits takes what `timesOf` says, in
 * the order and within the limits of the plan. `nowOf` is undefined for servers that have not started.
 */
export function timeLeftOfPlan(
  order: PlanOrder,
  timesOf: TimesOf,
  nowOf: (serverId: string) => ServerNow | undefined,
): Pick<TimeLeft, 'ms' | 'atLeast'> {
  const { endsMs, atLeast } = simulate(order, (server, plan) => {
    const now = nowOf(server.order.server.id);
    if (now === undefined) return timesOf(server, plan);
    return { beforeBootMs: now.state === 'done' ? 0 : now.leftMs, bootMs: 0 };
  });
  return { ms: endsMs, atLeast };
}

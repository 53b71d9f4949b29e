/**
 * How long a live run still takes, from past runs. What is expected of its servers is looked up once a run and kept: an order
 * never changes, and neither does what ran before it. So a plan of 2,000 servers is looked at as often as anybody likes.
 */
import { expectations, type Expect } from '../../model/estimate/expectations';
import { inThought, type OrderInThought } from '../../model/estimate/simulate';
import { endsOfPlan, timeLeft, timeLeftOfPlan, unknownLeft } from '../../model/estimate/time-left';
import { serversNow } from '../../model/estimate/plan-now';
import type { ServerNow, StepNow, TimeLeft } from '../../model/estimate/time-left';
import { isClosedRun, type StepState } from '../../model/steps';
import { procedures } from '../../workflows/procedures';
import type { ApiDeps } from '../deps';
import { pastTimes } from '../runbooks/past';
import { DeadlineError, within } from '../within';
import type { PlanReading, RunReading, ServerReading } from './read';

type Deps = Pick<ApiDeps, 'store' | 'temporal' | 'config' | 'clock' | 'log'>;

/** null: the run is closed. Never throws: what cannot be known is said. */
export type TimeLeftOf = (reading: RunReading) => Promise<TimeLeft | null>;

/** What stands behind the estimate of one run. */
interface Basis {
  readonly order: OrderInThought;
  readonly expect: Expect;
}

const mostKept = 50;
/** A reader waits no longer for it; it is kept for the next one. */
const patienceMs = 1_000;

export interface Estimates {
  readonly timeLeft: TimeLeftOf;
  /** Until when each server of the plan that is not proven yet usually is, by its id. @throws what reading the past throws. */
  ends(reading: PlanReading): Promise<ReturnType<typeof endsOfPlan>>;
}

export const createTimeLeft = (deps: Deps): TimeLeftOf => createEstimates(deps).timeLeft;

export function createEstimates(deps: Deps): Estimates {
  const kept = new Map<string, Promise<Basis>>();

  function basisOf(reading: RunReading): Promise<Basis> {
    const before = kept.get(reading.runId);
    if (before !== undefined) return before;
    const basis = lookUp(deps, reading);
    kept.set(reading.runId, basis);
    basis.catch(() => kept.delete(reading.runId));
    if (kept.size > mostKept) kept.delete(kept.keys().next().value!);
    return basis;
  }

  const timeLeftOf: TimeLeftOf = async (reading) => {
    const { state } = reading.view;
    if (isClosedRun(state)) return null;
    if (state === 'undoing') return unknownLeft('it is being undone, and past runs say nothing of that', 'end');
    if (reading.kind === 'server' && reading.view.order.procedure !== 'push-button-recovery')
      return unknownLeft('no times are kept of clean-ups that were started alone', 'end');
    try {
      const basis = await within(patienceMs, basisOf(reading));
      return reading.kind === 'plan' ? ofPlan(deps, reading, basis) : ofServer(reading, basis);
    } catch (error) {
      if (error instanceof DeadlineError) return unknownLeft('past runs are still being read; ask again');
      deps.log.warn({ err: error, runId: reading.runId }, 'The time left could not be estimated');
      return unknownLeft('past runs cannot be read now: Postgres or Temporal does not answer');
    }
  };
  return {
    timeLeft: timeLeftOf,
    ends: async (reading) => {
      const { order, expect } = await basisOf(reading);
      return endsOfPlan(order, expect, nowOfServers(deps, reading));
    },
  };
}

async function lookUp(deps: Deps, reading: RunReading): Promise<Basis> {
  const order = reading.kind === 'plan' ? await orderOfPlan(deps, reading) : alone(reading);
  return { order, expect: expectations(await pastTimes(deps, order)) };
}

/** @throws Error where Temporal has none: the plan is not running there. */
async function orderOfPlan({ temporal }: Deps, { execution, runId }: PlanReading): Promise<OrderInThought> {
  if (execution === undefined) throw new Error(`Temporal does not run plan ${runId}`);
  return inThought(await temporal.planOrder(execution));
}

function alone({ view: { order } }: ServerReading): OrderInThought {
  const { option, server, target } = order;
  const one = { name: server.name, wave: '', after: [], datastore: null, order: { option, server, target } };
  return {
    plan: { waves: [], limits: { atOnce: null, sites: {}, datastores: {}, boots: {} } },
    servers: [one],
    parts: [],
  };
}

function ofServer({ view }: ServerReading, { order, expect }: Basis): TimeLeft {
  const steps = view.steps.map(({ id, state, clocks }): StepNow => ({
    ...{ id, machineMs: clocks.machineMs, state: nowOf[state] },
  }));
  return timeLeft(steps, expect(order.servers[0]!));
}

const nowOf: Readonly<Record<StepState, StepNow['state']>> = {
  pending: 'pending',
  running: 'running',
  waiting: 'running',
  stuck: 'running',
  done: 'done',
  'not-applicable': 'done',
  skipped: 'done',
  failed: 'done',
  undone: 'done',
};

const ofPlan = (deps: Deps, reading: PlanReading, { order, expect }: Basis): TimeLeft =>
  timeLeftOfPlan(order, expect, nowOfServers(deps, reading));

function nowOfServers({ clock }: Deps, { view, children }: PlanReading): (serverId: string) => ServerNow | undefined {
  const ofServers = procedures[view.order.mode === 'rehearsal' ? 'rehearsal' : 'push-button-recovery'];
  const ids = ofServers?.steps.map(({ id }) => id) ?? [];
  const now = serversNow(view.waves, children, ids, clock().toISOString());
  return (serverId) => now.get(serverId);
}

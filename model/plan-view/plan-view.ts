/**
 * A plan as people see it: its own record (gates, holds, commit) and its servers by wave. Computed from the plan's events and its
 * children's rows and nothing else; plain JSON, for the API, the CLI and the report.
 */
import { clocksWithin, type Clocks } from '../clocks';
import { OperatorError } from '../errors';
import type { RunEvent } from '../events';
import type { Provenance } from '../order';
import { placeKey, type HoldPlace, type PlanHeader } from '../plan';
import { runBase, type RunBase } from '../run-view';
import type { ProcedureDeclaration } from '../steps';
import type { ChildRun } from './child-run';
import { planObjectives, type ObjectivesOfTier } from './plan-objectives';
import { isDone, waitsOf, type ServerOfPlanView } from './server-of-plan';
import { countStages, serversWithin, type PartView, type StageCounts } from './parts';
import { wavesAndParts, type WaveView } from './waves';

export interface HoldView {
  readonly of: HoldPlace;
  readonly since: string;
  /** null: nothing new is started there until somebody lets it go on. */
  readonly until: string | null;
  readonly by: Provenance;
  readonly reason: string;
  readonly endedBy: Provenance | null;
}

export interface PlanView extends RunBase {
  readonly order: PlanHeader;
  readonly waves: readonly WaveView[];
  readonly parts: readonly PartView[];
  /** Of all its servers by stage, those of included runbooks at any depth with them. */
  readonly counts: StageCounts;
  readonly serverCount: number;
  readonly done: number;
  readonly holds: readonly HoldView[];
  readonly tiers: readonly ObjectivesOfTier[];
}

/** @throws OperatorError when the events do not begin with `plan-opened`: without the order nothing can be said. */
export function planView(
  events: readonly RunEvent[],
  declaration: ProcedureDeclaration,
  children: readonly ChildRun[],
  now: string,
): PlanView {
  const opened = events.find((event) => event.kind === 'plan-opened');
  if (opened === undefined) {
    throw new OperatorError({
      what: 'the plan cannot be shown',
      found: `${events.length} events and no plan-opened among them`,
      needed: 'the events of a run from its first on',
      remedy: 'Read the run again once its journal has caught up.',
    });
  }
  const { order, declaration: procedure, versions } = opened.data;
  const base = runBase({ runId: order.runId, procedure, versions }, events, declaration, now);
  const until = base.closedAt ?? now;
  const sorted = [...children].sort((a, b) => Date.parse(a.startedAt) - Date.parse(b.startedAt));
  const { waves, parts } = wavesAndParts({
    header: order,
    items: Object.fromEntries(base.steps.map((step) => [step.id, new Map(step.items.map((i) => [i.item, i.state]))])),
    children: sorted,
    gates: gatesOf(base),
    now: until,
  });
  const servers = everyServer({ waves, parts });
  const unseen = parts.reduce((sum, part) => sum + part.unseen, 0);
  return {
    ...base,
    order,
    clocks: clocksOfPlan(base, sorted, until),
    waves,
    parts,
    counts: countStages(servers),
    serverCount: servers.length + unseen,
    done: servers.filter(isDone).length,
    holds: holdsOf(events),
    tiers: planObjectives(order, servers, { until, unseen }),
  };
}

function gatesOf({ parkings }: RunBase): Map<string, 'waiting' | 'passed'> {
  const gates = parkings.filter(({ step, item, kind }) => step === 'gate' && kind === 'gate' && item !== null);
  return new Map(gates.map(({ item, until }) => [item!, until === null ? 'waiting' : 'passed']));
}

/** People are waited for while anything of the plan waits for them, a server or the plan itself; several at once count once. */
function clocksOfPlan({ openedAt, parkings }: RunBase, children: readonly ChildRun[], until: string): Clocks {
  const own = parkings.map((one) => ({ from: Date.parse(one.since), to: Date.parse(one.until ?? until) }));
  const whole = { from: Date.parse(openedAt), to: Math.max(Date.parse(openedAt), Date.parse(until)) };
  return clocksWithin([whole], [...own, ...waitsOf(children, until)]);
}

function holdsOf(events: readonly RunEvent[]): HoldView[] {
  const holds: HoldView[] = [];
  for (const event of events) {
    if (event.kind === 'held') {
      const { of, reason } = event.data;
      holds.push({ of, since: event.at, until: null, by: event.by, reason, endedBy: null });
    }
    if (event.kind !== 'let-go-on' && event.kind !== 'run-closed') continue;
    for (const [at, hold] of holds.entries()) {
      const isMeant = event.kind === 'run-closed' || placeKey(event.data.of) === placeKey(hold.of);
      if (hold.until !== null || !isMeant) continue;
      holds[at] = { ...hold, until: event.at, endedBy: event.kind === 'run-closed' ? null : event.by };
    }
  }
  return holds;
}

/** Its own servers, and those of included runbooks at any depth. */
export const everyServer = ({ waves, parts }: Pick<PlanView, 'waves' | 'parts'>): ServerOfPlanView[] => [
  ...waves.flatMap(({ servers }) => servers),
  ...parts.flatMap(serversWithin),
];

/** Servers that people look at first: stuck, waiting, failed (also optional ones, without which the plan went on), then what runs. */
export function busyServers(plan: Pick<PlanView, 'waves' | 'parts'>): ServerOfPlanView[] {
  return everyServer(plan).filter((one) => one.stage === 'failed' || (one.stage !== 'pending' && !isDone(one)));
}

/** An evacuation: a runbook of two runbooks, one of which includes a third; every row is folded from the events of its run. */
import type { RunEvent } from '../../model/events';
import type { Mode } from '../../model/order';
import { planHeader, type PartOfPlan, type PlanOrder } from '../../model/plan';
import type { ChildRun } from '../../model/plan-view/child-run';
import { nextFacts, type RunFacts } from '../../model/run-facts';
import { projectRun } from '../../model/run-projection';
import { storyRunId, tomas } from './order';
import { samplePlan } from './plan-sample';
import { at, event } from './plan-story';

type Events = readonly RunEvent[];

export interface PartsStory {
  readonly order: PlanOrder;
  readonly events: Events;
  readonly children: readonly ChildRun[];
}

/** `network` has dns01 of tier 1; `office` has mail01 and files01 of tier 2, and includes `labs` with lab01 of tier 2. */
export function evacuation(mode: Mode = 'recovery'): PlanOrder {
  const labs = part('labs', ['lab01'], mode);
  const office = part('office', ['mail01', 'files01'], mode, [labs]);
  const base = samplePlan({ runId: storyRunId, requestedAt: at(0), mode });
  const objectives = { rpoMs: 300_000, rtoMs: 4 * 3_600_000, tiers: { 2: { rpoMs: null, rtoMs: 3_600_000 } } };
  return {
    ...base,
    runbook: { ...base.runbook, name: 'evacuation', title: 'Evacuation of the site' },
    plan: { ...base.plan, waves: [], gates: {}, objectives },
    servers: [],
    parts: [part('network', ['db-dns01'], mode), { ...office, after: ['network'] }],
  };
}

function part(name: string, servers: readonly string[], mode: Mode, parts: readonly PartOfPlan[] = []): PartOfPlan {
  const list = servers.map((server) => `{ name: ${server} }`).join(', ');
  const networks = 'networks: { recovery: { prod: dr-prod }, rehearsal: { prod: isolated } }';
  const text = `format: 1\nname: ${name}\ntitle: ${name}\ntier: 2\n${networks}\ndefaults: { hardware: kvm-virtio }\nwaves:\n  - { name: all, title: All, servers: [${list}] }\n`;
  const newRunId = (): string => `run-${name}-${(next += 1)}`;
  let next = 0;
  const order = samplePlan({ runId: `plan-${name}`, requestedAt: at(0), newRunId, mode }, text);
  return { name, after: [], order: { ...order, parts } };
}

/** What happened in one run: of a plan by its runbook's name, of a server by its own. */
export type Happened = Readonly<Record<string, Events>>;

/** Runs of which `happened` says nothing have not begun. `own`: of the outermost plan, after its opening. */
export function partsStory(happened: Happened, own: Events = [], order = evacuation()): PartsStory {
  return { order, events: [openedPlan(order), ...own], children: below(order, happened) };
}

const openedPlan = (order: PlanOrder): RunEvent =>
  event('plan-opened', 0, { order: planHeader(order), declaration: 'plan', versions: {} });

function below(plan: PlanOrder, happened: Happened): ChildRun[] {
  const servers = plan.servers.flatMap(({ name, order }) => {
    const events = happened[name];
    const opened = event('run-opened', 1, { order, declaration: 'p', versions: {} });
    return events === undefined ? [] : [rowOf(order.runId, plan.runId, [opened, ...events])];
  });
  const parts = plan.parts.flatMap(({ name, order }) => {
    const events = happened[name];
    if (events === undefined) return [];
    return [rowOf(order.runId, plan.runId, [openedPlan(order), ...events]), ...below(order, happened)];
  });
  return [...servers, ...parts];
}

function rowOf(runId: string, parentRunId: string, events: Events): ChildRun {
  const { procedure, serverId, serverName, state, currentStep, stuckSince, startedAt, closedAt } = projectRun(
    undefined,
    events,
  )!;
  const facts = events.reduce<RunFacts | undefined>(nextFacts, undefined)!;
  const row = { procedure, serverId, serverName, state, currentStep, stuckSince, startedAt, closedAt };
  return { runId, parentRunId, ...row, facts };
}

const point = { point: { pointId: 'p-1', takenAt: at(-12), consistency: 'crash', clockSkewMs: 0 } };
const done = (step: string, second: number, result: unknown): Events => [
  event('step-announced', second - 1, { title: step }, { step }),
  event('step-done', second, { result }, { step }),
];

/** Frozen, and proven at that second. */
export const proven = (second: number): Events => [
  ...done('freeze', 5, point),
  ...done('prove-boot', second, { rungs: [], provenAt: at(second) }),
];

/** Parked, and skipped by Tomáš with this reason. */
export const skipped = (step: string, second: number, reason: string, item: string | null = null): Events => {
  const failure = { family: 'OperatorError', message: 'no', remedy: null, detail: null };
  const place = { step, item };
  const decided = { epoch: 1, decision: 'skip', reason, from: null, input: null };
  const end = item === null ? [event('step-skipped', second, { reason }, place)] : [];
  return [
    event('parked', second - 1, { epoch: 1, undo: false, failure, allowed: ['skip'], remedy: 'Mend it.' }, place),
    event('decided', second, decided, { ...place, by: tomas }),
    ...end,
  ];
};

export const closed = (second: number, state: string): Events => [
  event('run-closed', second, { state, summary: '', childHashes: {} }),
];

/** An item of one of the plan's steps, done. */
export const itemDone = (step: string, item: string, second: number): Events => [
  event('attempt-started', second - 1, { token: second, undo: false }, { step, item, attempt: 1 }),
  event('attempt-succeeded', second, { token: second, undo: false, result: null, durationMs: 1 }, { step, item }),
];

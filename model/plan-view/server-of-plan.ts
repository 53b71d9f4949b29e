/** One server of a plan: how far it is, what it waits for, and its clocks and objectives, from its runs' rows. */
import { clocksWithin, type Clocks } from '../clocks';
import type { Interval } from '../intervals';
import { objectivesAt, type ObjectiveResults } from '../objectives';
import type { ServerOfHeader } from '../plan';
import type { RehearsedFacts } from '../rehearsed-facts';
import type { Skip } from '../skips';
import { provingStep, type StepState } from '../steps';
import type { ChildRun } from './child-run';

/** In the order in which people look at them. */
export const serverStages = [
  'stuck',
  'waiting',
  'failed',
  'aborted',
  'undoing',
  'held',
  'running',
  'pending',
  'skipped',
  'undone',
  'unproven',
  'proven',
  'succeeded-with-exceptions',
  'succeeded',
] as const;
/**
 * A run's state, and beside it: pending (not started), proven (waits for the plan's verdict), unproven (the same, but people skipped its
 * proof), skipped and undone (by the plan).
 */
export type ServerStage = (typeof serverStages)[number];

export interface ServerOfPlanView extends Omit<ServerOfHeader, 'runId'> {
  /** The latest of its runs; null until one has begun to be recorded. */
  readonly runId: string | null;
  /** How many runs it took so far. */
  readonly runs: number;
  readonly machineName: string | null;
  readonly stage: ServerStage;
  readonly step: string | null;
  readonly stuckSince: string | null;
  /** What has to be done before it may start: names of waves, servers, gates, included runbooks; empty once it has. */
  readonly waitsFor: readonly string[];
  readonly startedAt: string | null;
  readonly provenAt: string | null;
  readonly closedAt: string | null;
  readonly clocks: Clocks;
  readonly objectives: ObjectiveResults | null;
  readonly pointId: string | null;
  /** Its steps that were skipped. */
  readonly skipped: readonly string[];
  /** The same with who and why; empty where its row is of an earlier version. */
  readonly skips: readonly Skip[];
  /** What any of its runs left by decision: undos that were skipped. */
  readonly left: readonly LeftByRun[];
  /** What its rehearsal showed of isolation and clean-up; null: none, or a row of an earlier version. */
  readonly rehearsed: RehearsedFacts | null;
}

/** `of`: the server, or the included runbook. */
export interface LeftByRun extends Skip {
  readonly runId: string;
  readonly of: string;
}

/** Of the plan, at the moment it is shown. */
export interface ServerContext {
  /** Of the step `recover` of the plan. */
  readonly item: StepState | undefined;
  /** Its runs, oldest first. */
  readonly runs: readonly ChildRun[];
  readonly now: string;
}

export function serverView(server: ServerOfHeader, context: ServerContext): Omit<ServerOfPlanView, 'waitsFor'> {
  const { runs, now } = context;
  const last = runs.at(-1);
  const facts = last?.facts?.server;
  const stage = stageOf(context, server);
  return {
    ...server,
    runId: last?.runId ?? null,
    runs: runs.length,
    machineName: facts?.machineName ?? null,
    stage,
    step: last?.currentStep ?? null,
    stuckSince: last?.stuckSince ?? null,
    startedAt: runs[0]?.startedAt ?? null,
    provenAt: provenAt(last),
    closedAt: last?.closedAt ?? null,
    clocks: clocksWithin(activeOf(runs, now), waitsOf(runs, now)),
    objectives: facts ? objectivesAt(facts.objectives, now) : null,
    pointId: facts?.objectives.point?.pointId ?? null,
    skipped: last?.facts?.skipped ?? [],
    skips: last?.facts?.skips ?? [],
    left: leftOf(runs),
    rehearsed: facts?.rehearsed ?? null,
  };
}

export const leftOf = (runs: readonly ChildRun[]): LeftByRun[] =>
  runs.flatMap(({ runId, serverName, facts }) =>
    (facts?.skips ?? []).flatMap((skip) => (skip.undo ? [{ ...skip, runId, of: serverName }] : [])),
  );

/** null: not proven, or undone since. */
function provenAt(run: ChildRun | undefined): string | null {
  const objectives = run?.facts?.server?.objectives;
  return objectives && objectives.undoneBecause === null ? (objectives.proof?.provenAt ?? null) : null;
}

function stageOf({ item, runs }: ServerContext, { failure }: Pick<ServerOfHeader, 'failure'>): ServerStage {
  const last = runs.at(-1);
  // The plan went on without it, whether it had a run or not.
  if (item === 'failed' && failure.kind === 'optional') return 'failed';
  if (item === 'skipped' || item === 'undone' || item === 'stuck') return item;
  if (last === undefined)
    return item === undefined || item === 'pending' ? 'pending' : item === 'done' ? 'proven' : 'running';
  if (last.state !== 'running') return last.state;
  if (provenAt(last) !== null) return 'proven';
  if (item !== 'done') return 'running';
  // The plan may have heard of a proof before the run's row tells it; a skip stands there before its proof would.
  return last.facts?.skipped?.includes(provingStep) ? 'unproven' : 'proven';
}

const doneStages: readonly ServerStage[] = ['proven', 'unproven', 'succeeded', 'succeeded-with-exceptions', 'skipped'];

/** Whether what comes after it may go on. An optional server may fail. */
export const isDone = ({ stage, failure }: Pick<ServerOfPlanView, 'stage' | 'failure'>): boolean =>
  doneStages.includes(stage) || (stage === 'failed' && failure.kind === 'optional');

/** A run counts until its server is proven: what it does then is wait for the others. */
export function activeOf(runs: readonly ChildRun[], now: string): Interval[] {
  return runs.map((run) => {
    const from = Date.parse(run.startedAt);
    return { from, to: Math.max(from, Date.parse(provenAt(run) ?? run.closedAt ?? now)) };
  });
}

export function waitsOf(runs: readonly Pick<ChildRun, 'facts'>[], now: string): Interval[] {
  return runs.flatMap(({ facts }) =>
    (facts?.waits ?? []).map(({ since, until }) => ({ from: Date.parse(since), to: Date.parse(until ?? now) })),
  );
}

/**
 * Included runbooks as the plan that includes them sees them, at any depth: from its own header and the rows of their runs. A record
 * of an earlier version does not name their servers: then those are known whose run has begun, and how many there are.
 */
import type { PartOfHeader, ServerOfHeader } from '../plan';
import { isGivenUp, type Skip } from '../skips';
import type { StepState } from '../steps';
import type { ChildRun } from './child-run';
import { groupBy } from './group-by';
import {
  isDone,
  leftOf,
  serverStages,
  serverView,
  type LeftByRun,
  type ServerOfPlanView,
  type ServerStage,
} from './server-of-plan';

export type StageCounts = Readonly<Partial<Record<ServerStage, number>>>;

export interface PartView extends Pick<
  PartOfHeader,
  'name' | 'runId' | 'after' | 'version' | 'sha256' | 'serverCount'
> {
  /** null: not started. */
  readonly state: ChildRun['state'] | null;
  /** Skipped by people: what includes it went on without. */
  readonly skipped: boolean;
  /** Its own servers. */
  readonly servers: readonly ServerOfPlanView[];
  /** What it includes itself. */
  readonly parts: readonly PartView[];
  /** Of its servers with those of what it includes. */
  readonly counts: StageCounts;
  readonly done: number;
  /** Servers of which neither the plan's record nor a run tells anything: a record of an earlier version. */
  readonly unseen: number;
  readonly waitsFor: readonly string[];
  /** What runs of it that were started again since left by decision, and the runs in them. */
  readonly left: readonly LeftByRun[];
  /** What people skipped in its own run: null in rows of earlier versions, and before it was started. */
  readonly skips: readonly Skip[] | null;
}

export interface PartContext {
  /** Of the run that includes it. */
  readonly parentRunId: string;
  /** Of the including plan's step `include`, where its record is at hand. */
  readonly item: StepState | undefined;
  /** All runs below the outermost plan, oldest first, by the run that each belongs to. */
  readonly byParent: ReadonlyMap<string, readonly ChildRun[]>;
  readonly now: string;
  readonly waitsFor: readonly string[];
}

export function partView(part: PartOfHeader, context: PartContext): PartView {
  const { item, byParent, now, parentRunId } = context;
  const own = (byParent.get(parentRunId) ?? []).filter(
    (one) => one.procedure === 'plan' && one.serverName === part.name,
  );
  const run = own.at(-1);
  const earlier = own.slice(0, -1).flatMap((one) => [one, ...allBelow(one, byParent)]);
  const below =
    run === undefined ? [] : part.servers === undefined ? allBelow(run, byParent) : childrenOf(run, byParent);
  const runsOf = groupBy(
    below.filter(({ procedure }) => procedure !== 'plan'),
    ({ serverName }) => serverName,
  );
  const skips = run === undefined ? null : (run.facts?.skips ?? null);
  const skipped = item === 'skipped';
  const itemOf = (step: string, name: string): StepState | undefined => {
    const skip = skips?.find((one) => one.step === step && one.item === name && !one.undo);
    return skip && (isGivenUp(skip) ? 'failed' : 'skipped');
  };
  const servers = (part.servers ?? serversOf(runsOf)).map((server): ServerOfPlanView => {
    const context = { item: itemOf('recover', server.name), runs: runsOf.get(server.name) ?? [], now };
    const view = serverView(server, context);
    // Of a runbook that was skipped, what had not begun never will.
    return { ...view, stage: skipped && view.stage === 'pending' ? 'skipped' : view.stage, waitsFor: [] };
  });
  const parts = (part.parts ?? []).map((inner) =>
    partView(inner, {
      ...{ parentRunId: run?.runId ?? part.runId, byParent, now, waitsFor: [] },
      item: skipped ? 'skipped' : itemOf('include', inner.name),
    }),
  );
  const all = [...servers, ...parts.flatMap(serversWithin)];
  const { name, after, version, sha256, serverCount, runId } = part;
  return {
    ...{ name, after, version, sha256, serverCount, runId: run?.runId ?? runId, state: run?.state ?? null },
    ...{
      skipped,
      servers,
      parts,
      skips,
      left: leftOf(earlier),
      counts: countStages(all),
      done: all.filter(isDone).length,
    },
    unseen: Math.max(0, serverCount - all.length),
    waitsFor: run ? [] : context.waitsFor,
  };
}

/** Its own servers and those of what it includes. */
export const serversWithin = ({ servers, parts }: PartView): ServerOfPlanView[] => [
  ...servers,
  ...parts.flatMap(serversWithin),
];

type ByParent = PartContext['byParent'];

const childrenOf = ({ runId }: ChildRun, byParent: ByParent): readonly ChildRun[] => byParent.get(runId) ?? [];

const allBelow = (run: ChildRun, byParent: ByParent): ChildRun[] =>
  childrenOf(run, byParent).flatMap((one) => [one, ...(one.procedure === 'plan' ? allBelow(one, byParent) : [])]);

/** Of a record of an earlier version: as their runs name them; of a row that does not say its tier nothing is known. */
function serversOf(runsOf: ReadonlyMap<string, readonly ChildRun[]>): ServerOfHeader[] {
  return [...runsOf].flatMap(([name, runs]): ServerOfHeader[] => {
    const { serverId, runId, state, facts } = runs.at(-1)!;
    if (facts?.server == null) return [];
    const { tier, siteId } = facts.server;
    // What is not optional waits for people; or its plan has given up with it.
    const failure =
      state === 'failed' ? ({ kind: 'optional', giveUpAfterMs: 0 } as const) : ({ kind: 'critical' } as const);
    return [{ name, serverId, runId, wave: '', after: [], datastore: null, tier, siteId, failure }];
  });
}

export function countStages(servers: readonly { readonly stage: ServerStage }[]): StageCounts {
  const counts = new Map<ServerStage, number>();
  for (const { stage } of servers) counts.set(stage, (counts.get(stage) ?? 0) + 1);
  return Object.fromEntries(serverStages.flatMap((stage) => (counts.has(stage) ? [[stage, counts.get(stage)!]] : [])));
}

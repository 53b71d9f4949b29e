/**
 * The complete order of a plan: every server's own order and every included runbook's plan, so that from its start on it needs
 * neither Postgres nor the runbook's file (design: law 5). Pure: ids come from the caller.
 */
import type { Intent, Mode, ProofOrder, Provenance } from '../order';
import type { PartOfPlan, PinnedRunbook, PlanOrder, RunbookOfPlan } from '../plan';
import { deepestInclusion } from '../runbook/check-order';
import type { Limits, Runbook } from '../runbook/runbook';
import type { ServerSpec, SiteId } from '../server';
import type { PhysicalMachineFacts } from './build-order';
import { claimedTwice } from './claims';
import { orderDefaults } from './defaults';
import { serversOfPlan } from './servers-of-plan';

/** A runbook that was read, and which text it is. */
export interface ReadyRunbook {
  readonly runbook: Runbook;
  /** 0: of no imported version, started from its text. */
  readonly version: number;
  readonly sha256: string;
}

/** The installation as it is when the plan is made. */
export interface PlanInventory {
  /** By name. */
  readonly servers: ReadonlyMap<string, ServerSpec>;
  /** The newest version of each runbook that may be included, by name. */
  readonly runbooks: ReadonlyMap<string, ReadyRunbook>;
  readonly physicalMachines: Readonly<Record<SiteId, readonly PhysicalMachineFacts[]>>;
}

export interface PlanContext {
  readonly tenantId: string;
  readonly coreId: string;
  readonly mode: Mode;
  readonly intent: Intent;
  /** Recovery points by server; a server that is not named takes its latest. */
  readonly points: Readonly<Record<string, string>>;
  readonly lostAt: string | null;
  readonly requestedAt: string;
  readonly requestedBy: Provenance;
  readonly reason: string;
  /** Of the plan itself, where it is known before: the answer to a key that was seen. */
  readonly runId: string;
  /** How a boot is proven, where the installation says other than the defaults. */
  readonly proof?: Partial<ProofOrder>;
  /** UUIDv7, a new one at each call. */
  readonly newRunId: () => string;
}

/** Why a plan cannot be made; each names what it is about. */
export interface OrderProblem {
  readonly runbook: string;
  /** null: of the whole runbook. */
  readonly server: string | null;
  readonly found: string;
  readonly needed: string;
  readonly remedy: string;
  /** Nothing is wrong with the text: something has to be done before it is run. */
  readonly isToDo?: true;
}

export type BuiltPlan = { readonly ok: PlanOrder } | { readonly problems: readonly OrderProblem[] };

/** Where in the tree of included runbooks a plan is built, and what the whole tree shares. */
export interface Build {
  readonly inventory: PlanInventory;
  readonly context: PlanContext;
  /** The plan that was asked for: owner of a rehearsal's networks. */
  readonly ownerRunId: string;
  /** How long anything of this plan waits for people before it is given up; null: without end. Nothing within outlasts what includes it. */
  readonly giveUpAfterMs: number | null;
  /** How many machines of a site boot at the same time, by this plan and those that include it: the fewest count. */
  readonly boots: Limits['boots'];
  readonly problems: OrderProblem[];
  /** Which runbook recovers each server: one server in two plans would wait for itself. */
  readonly taken: Map<string, string>;
}

/** All problems at once; the order only when there is none. */
export function buildPlan(ready: ReadyRunbook, inventory: PlanInventory, context: PlanContext): BuiltPlan {
  const own = { ownerRunId: context.runId, giveUpAfterMs: null, boots: {} };
  const build: Build = { inventory, context, ...own, problems: [], taken: new Map() };
  const order = planOf(ready, context.runId, build, [ready.runbook.name]);
  unknownPoints(ready.runbook.name, build);
  build.problems.push(...claimedTwice(plansWithin(order)));
  return build.problems.length === 0 ? { ok: order } : { problems: build.problems };
}

/** In a rehearsal nobody is stopped, and a failback always stops its source first. */
export function intentOf({ direction }: Pick<Runbook, 'direction'>, { mode, intent }: PlanContext): Intent {
  if (mode === 'rehearsal') return 'disaster';
  return direction === 'failback' ? 'planned' : intent;
}

/** Recoveries never give up. */
function giveUpOf({ rehearsal }: Runbook, { context, giveUpAfterMs }: Build): number | null {
  return context.mode === 'rehearsal' ? Math.min(rehearsal.giveUpAfterMs, giveUpAfterMs ?? Infinity) : null;
}

function fewest(a: Limits['boots'], b: Limits['boots']): Limits['boots'] {
  const sites = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return Object.fromEntries(sites.map((site) => [site, Math.min(a[site] ?? Infinity, b[site] ?? Infinity)]));
}

function planOf(ready: ReadyRunbook, runId: string, outer: Build, path: readonly string[]): PlanOrder {
  const { runbook, version, sha256 } = ready;
  const { context } = outer;
  const giveUpAfterMs = giveUpOf(runbook, outer);
  const build: Build = { ...outer, giveUpAfterMs, boots: fewest(outer.boots, runbook.limits.boots) };
  const { tenantId, coreId, mode, lostAt, requestedAt, requestedBy, reason } = context;
  const pinned: PinnedRunbook = { name: runbook.name, title: runbook.title, version, sha256 };
  return {
    runId,
    tenantId,
    coreId,
    procedure: 'plan',
    mode,
    intent: intentOf(runbook, context),
    runbook: pinned,
    plan: runbookOfPlan(runbook),
    servers: serversOfPlan(runbook, build),
    parts: partsOf(runbook, build, path),
    retry: orderDefaults.retry,
    reminderMs: orderDefaults.reminderMs,
    ...(giveUpAfterMs === null ? {} : { giveUpAfterMs }),
    lostAt,
    requestedAt,
    requestedBy,
    reason,
  };
}

function runbookOfPlan(runbook: Runbook): RunbookOfPlan {
  const { direction, tier, objectives, waves, limits, gates, scripts, notify, access, rehearsal, commit } = runbook;
  return { direction, tier, objectives, waves, limits, gates, scripts, notify, access, rehearsal, commit };
}

function partsOf(runbook: Runbook, build: Build, path: readonly string[]): PartOfPlan[] {
  return runbook.includes.flatMap(({ runbook: name, after }): PartOfPlan[] => {
    const refuse = (found: string, needed: string, remedy: string): [] => {
      build.problems.push({ runbook: runbook.name, server: null, found, needed, remedy });
      return [];
    };
    if (path.includes(name)) {
      const circle = [...path.slice(path.indexOf(name)), name].join(' includes ');
      return refuse(`a circle: ${circle}`, 'runbooks that do not include themselves', 'Take one inclusion out.');
    }
    if (path.length >= deepestInclusion) {
      const found = `"${name}" included at depth ${path.length}: ${path.join(', ')}`;
      return refuse(found, `at most ${deepestInclusion} runbooks within each other`, 'Include it further up.');
    }
    const ready = build.inventory.runbooks.get(name);
    if (ready === undefined) {
      const remedy = `Import it (\`muster runbook import\`), or take it out.`;
      return refuse(`no runbook "${name}"`, 'an imported runbook', remedy);
    }
    if (ready.runbook.direction !== runbook.direction) {
      const found = `"${name}" with direction ${ready.runbook.direction} in one with direction ${runbook.direction}`;
      return refuse(found, 'one direction', 'Run them one after the other instead.');
    }
    return [{ name, after, order: planOf(ready, build.context.newRunId(), build, [...path, name]) }];
  });
}

function unknownPoints(runbook: string, { context, taken, problems }: Build): void {
  for (const name of Object.keys(context.points)) {
    if (taken.has(name)) continue;
    const found = `a recovery point for "${name}"`;
    const needed = 'a server of this runbook';
    problems.push({ runbook, server: name, found, needed, remedy: 'Correct the name, or leave the point out.' });
  }
}

/** Included runbooks' plans with the plan itself, outermost first. */
export function plansWithin(order: PlanOrder): PlanOrder[] {
  return [order, ...order.parts.flatMap((part) => plansWithin(part.order))];
}

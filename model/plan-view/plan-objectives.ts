/**
 * RPO and RTO of a plan, for the whole and by tier, against what the runbook says; servers of included runbooks count as its own.
 *
 *   RPO actual   the worst of its servers' own: from the recovery point that was used to the loss
 *   RTO actual   from the button to the moment the last server was proven
 *
 * What was skipped, failed or undone was not recovered: then both are unknown for everything that it belongs to, and which servers
 * these are is said; a target that has passed without a proof is missed.
 */
import { millisecondsBetween } from '../durations';
import type { PlanHeader } from '../plan';
import type { Verdict } from '../objectives';
import { isDone, type ServerOfPlanView, type ServerStage } from './server-of-plan';

export interface PlanObjective {
  /** null: the runbook names none. */
  readonly targetMs: number | null;
  readonly actualMs: number | null;
  /** Target minus actual: negative where it was missed. */
  readonly marginMs: number | null;
  /** unknown, too, where there is no target. */
  readonly verdict: Verdict;
  /** The server that decided it: the worst, the last. */
  readonly server: string | null;
  readonly because: string;
}

export interface ObjectivesOfTier {
  /** null: the whole plan. */
  readonly tier: number | null;
  readonly servers: number;
  readonly rpo: PlanObjective;
  readonly rto: PlanObjective;
}

/**
 * The whole first, then each tier that has servers or an objective. `servers`: with those of included runbooks. `until`: the plan's
 * end, or now. `unseen`: servers of included runbooks of which nothing is known, not even their tier.
 */
export function planObjectives(
  header: PlanHeader,
  servers: readonly ServerOfPlanView[],
  { until, unseen = 0 }: { readonly until: string; readonly unseen?: number },
): ObjectivesOfTier[] {
  const { objectives } = header.plan;
  const tiers = new Set([...Object.keys(objectives.tiers).map(Number), ...servers.map(({ tier }) => tier)]);
  const of = (tier: number | null): ObjectivesOfTier => {
    const members = tier === null ? servers : servers.filter((server) => server.tier === tier);
    const targets = tier === null ? objectives : objectives.tiers[tier];
    return {
      tier,
      servers: members.length + (tier === null ? unseen : 0),
      rpo: rpoOf(targets?.rpoMs ?? null, members, unseen),
      rto: rtoOf(targets?.rtoMs ?? null, members, unseen, { from: header.requestedAt, until }),
    };
  };
  return [of(null), ...[...tiers].sort((a, b) => a - b).map(of)];
}

function rpoOf(targetMs: number | null, servers: readonly ServerOfPlanView[], unseen: number): PlanObjective {
  const lost = notRecovered(servers);
  const known = servers.flatMap(({ name, objectives, provenAt }) =>
    objectives?.rpo.actualMs == null || provenAt === null ? [] : [{ name, ms: objectives.rpo.actualMs }],
  );
  const worst = known.reduce<(typeof known)[number] | null>((a, b) => (a && a.ms >= b.ms ? a : b), null);
  const missed = worst !== null && targetMs !== null && worst.ms > targetMs;
  const all = servers.length + unseen;
  if (all === 0) return unknown(targetMs, 'No server.');
  if (known.length < all && !missed) {
    const because = lost === '' ? `${all - known.length} of ${all} servers are not proven.` : lost;
    return { ...unknown(targetMs, because), actualMs: worst?.ms ?? null, server: worst?.name ?? null };
  }
  return measured(targetMs, worst!.ms, worst!.name, `The worst of ${all}: ${worst!.name}. ${lost}`.trim());
}

function rtoOf(
  targetMs: number | null,
  servers: readonly ServerOfPlanView[],
  unseen: number,
  { from, until }: { readonly from: string; readonly until: string },
): PlanObjective {
  const lost = notRecovered(servers);
  const proven = servers.flatMap(({ name, provenAt }) => (provenAt === null ? [] : [{ name, at: provenAt }]));
  const last = proven.reduce<(typeof proven)[number] | null>((a, b) => (a && a.at >= b.at ? a : b), null);
  const all = servers.length + unseen;
  if (all === 0) return unknown(targetMs, 'No server.');
  if (last !== null && proven.length === all) {
    const because = `From the button to the last proven server, ${last.name}.`;
    return measured(targetMs, millisecondsBetween(from, last.at), last.name, because);
  }
  const because = lost === '' ? `${all - proven.length} of ${all} servers are not proven.` : lost;
  if (targetMs === null || millisecondsBetween(from, until) <= targetMs) return unknown(targetMs, because);
  return { ...unknown(targetMs, `${because} The target has passed without them.`), verdict: 'missed' };
}

const mostNamed = 5;
const lostStages: readonly ServerStage[] = ['failed', 'aborted', 'undone'];

/** Those that will not be proven any more; empty when there are none. */
function notRecovered(servers: readonly ServerOfPlanView[]): string {
  const lost = servers.filter(
    ({ stage, provenAt, ...server }) =>
      lostStages.includes(stage) || (isDone({ stage, ...server }) && provenAt === null),
  );
  if (lost.length === 0) return '';
  const names = lost.slice(0, mostNamed).map(({ name, stage }) => `${name} (${lostWords(stage)})`);
  const more = lost.length > mostNamed ? ` and ${lost.length - mostNamed} more` : '';
  return `Not recovered: ${names.join(', ')}${more}.`;
}

/** Of a server that stands all the same, its stage would read as success. */
const lostWords = (stage: ServerStage): string =>
  stage === 'skipped' || lostStages.includes(stage) ? stage : 'not proven';

function measured(targetMs: number | null, actualMs: number, server: string, because: string): PlanObjective {
  const marginMs = targetMs === null ? null : targetMs - actualMs;
  const verdict = marginMs === null ? 'unknown' : marginMs >= 0 ? 'met' : 'missed';
  return { targetMs, actualMs, marginMs, verdict, server, because };
}

function unknown(targetMs: number | null, because: string): PlanObjective {
  return { targetMs, actualMs: null, marginMs: null, verdict: 'unknown', server: null, because };
}

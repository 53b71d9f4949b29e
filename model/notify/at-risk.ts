/**
 * Whether an open run will miss an objective, and what people are told of it; each of its objectives once. Pure: api/objective-watch.ts
 * asks again and again.
 *
 *   RTO   what has passed since the button and what is still expected are more than it. Where no past run tells what to expect,
 *         four fifths of it have passed without a proof.
 *   RPO   the recovery point that is used is older already.
 *
 * Of a run that is undone or closed nothing is at risk any more, and neither is the RTO of what is proven.
 */
import { formatDuration } from '../durations';
import type { ObjectivesOfTier } from '../plan-view/plan-objectives';
import type { PlanView } from '../plan-view/plan-view';
import { isDone, type ServerOfPlanView } from '../plan-view/server-of-plan';
import type { RunView } from '../run-view';
import { isClosedRun, provingStep } from '../steps';
import type { Notice } from './notice';
import { facts, type NoticeContext } from './notices';

/** Share of the RTO after which what is not proven is at risk where nothing is known of what is left. */
const riskShare = 0.8;

/** What is usually left until the proof; `atLeast`: some of it is not known. */
export interface Rest {
  readonly ms: number;
  readonly atLeast: boolean;
}

const nothingKnown: Rest = { ms: 0, atLeast: true };

/** Of the run of one server. */
export function runAtRisk(parentRunId: string | null, view: RunView, rest: Rest | null, now: string): Notice[] {
  const { runId, order, procedure, objectives, state, steps } = view;
  // What proves nothing has no objective of its own: a clean-up that was started alone.
  if (isOver(state) || !steps.some(({ id }) => id === provingStep)) return [];
  const context = { runId, parentRunId, procedure, mode: order.mode, name: order.server.name };
  const say = sayer(context, order.requestedAt);
  const passedMs = Date.parse(now) - Date.parse(order.requestedAt);
  const { rto, rpo } = objectives;
  return [
    ...(rto.actualMs === null ? say('rto', '', 'Its RTO', rtoCause(rto.targetMs, passedMs, rest)) : []),
    ...say('rpo', '', 'Its RPO', rpoCause(rpo.targetMs, rpo.actualMs)),
  ];
}

/**
 * Of a plan, its tiers, and each of its own servers; an included runbook is asked as a plan of its own. `ends`: what is left of each
 * server that is not proven yet; null: nothing is known of any.
 */
export function planAtRisk(
  parentRunId: string | null,
  view: PlanView,
  ends: ReadonlyMap<string, Rest> | null,
  now: string,
): Notice[] {
  const { runId, order, procedure, state, waves, tiers } = view;
  if (isOver(state)) return [];
  const context = { runId, parentRunId, procedure, mode: order.mode, name: order.runbook.title };
  const passedMs = Date.parse(now) - Date.parse(order.requestedAt);
  const say = sayer(context, order.requestedAt);
  const own = waves.flatMap(({ servers }) => servers);
  const open = own.filter((server) => server.provenAt === null && !isLost(server));
  const restOf = (servers: readonly ServerOfPlanView[]): Rest =>
    latest(servers.map(({ serverId }) => (ends === null ? nothingKnown : (ends.get(serverId) ?? nothingKnown))));
  const ofTiers = tiers.flatMap((one) => {
    const meant = open.filter(({ tier }) => one.tier === null || tier === one.tier);
    // Of what it includes only the estimate says something here.
    const rest = one.tier === null && ends !== null ? latest([...ends.values()]) : restOf(meant);
    const isOpen = meant.length > 0 || (one.tier === null && (ends?.size ?? 0) > 0);
    const [suffix, whose] = one.tier === null ? ['', 'Its'] : [`/tier-${one.tier}`, `Tier ${one.tier}’s`];
    return [
      ...(isOpen ? say('rto', suffix, `${whose} RTO`, rtoCause(one.rto.targetMs, passedMs, rest)) : []),
      ...say('rpo', suffix, `${whose} RPO`, rpoCause(one.rpo.targetMs, oldestPoint(own, one))),
    ];
  });
  const ofServers = own.flatMap((server) =>
    serverAtRisk(view, server, open.includes(server) ? restOf([server]) : null, passedMs),
  );
  return [...ofTiers, ...ofServers];
}

/** Against the server's own objectives, in the name of its own run. `rest` null: it is proven, or will not be. */
function serverAtRisk(
  { runId: planRunId, order }: PlanView,
  { runId, name, objectives }: ServerOfPlanView,
  rest: Rest | null,
  passedMs: number,
): Notice[] {
  if (runId === null || objectives === null) return [];
  const procedure = order.mode === 'rehearsal' ? 'rehearsal' : 'push-button-recovery';
  const say = sayer({ runId, parentRunId: planRunId, procedure, mode: order.mode, name }, order.requestedAt);
  const { rto, rpo } = objectives;
  return [
    ...(rest === null ? [] : say('rto', '', 'Its RTO', rtoCause(rto.targetMs, passedMs, rest))),
    ...say('rpo', '', 'Its RPO', rpoCause(rpo.targetMs, rpo.actualMs)),
  ];
}

const isOver = (state: RunView['state']): boolean => isClosedRun(state) || state === 'undoing';

const isLost = (server: ServerOfPlanView): boolean =>
  isDone(server) || ['failed', 'aborted', 'undoing', 'undone'].includes(server.stage);

const latest = (rests: readonly Rest[]): Rest => ({
  ms: Math.max(0, ...rests.map(({ ms }) => ms)),
  atLeast: rests.some(({ atLeast }) => atLeast),
});

const oldestPoint = (servers: readonly ServerOfPlanView[], { tier }: ObjectivesOfTier): number | null =>
  servers
    .filter((server) => tier === null || server.tier === tier)
    .reduce<number | null>((oldest, { objectives }) => {
      const ms = objectives?.rpo.actualMs ?? null;
      return ms === null || (oldest !== null && oldest >= ms) ? oldest : ms;
    }, null);

/** What is at risk about it, after its name; null: nothing. */
function rtoCause(targetMs: number | null, passedMs: number, rest: Rest | null): string | null {
  if (targetMs === null || targetMs <= 0 || Number.isNaN(passedMs)) return null;
  const { ms, atLeast } = rest ?? nothingKnown;
  const [target, passed] = [targetMs, passedMs].map(formatDuration);
  if (passedMs > targetMs) return `of ${target} has passed, and it is not proven yet.`;
  if (passedMs + ms > targetMs) {
    const left = `${atLeast ? 'at least ' : ''}${formatDuration(ms)}`;
    return `of ${target} is at risk: ${passed} have passed, and from past runs ${left} more are expected until the proof.`;
  }
  if (!atLeast || passedMs < targetMs * riskShare) return null;
  return `of ${target} is at risk: ${Math.round(riskShare * 100)} % of it has passed, and it is not proven yet.`;
}

const rpoCause = (targetMs: number | null, actualMs: number | null): string | null =>
  targetMs === null || actualMs === null || actualMs <= targetMs
    ? null
    : `of ${formatDuration(targetMs)} is missed by the recovery point that is used: it was taken ${formatDuration(actualMs)} before the loss.`;

const remedies = {
  rto: 'Look at what it is busy with, or waits for.',
  rpo: 'See whether there is a later point (`muster replicas`): an abort and a new run take it. Otherwise say what is lost to those who use it.',
};

type Say = (objective: 'rto' | 'rpo', suffix: string, whose: string, cause: string | null) => Notice[];

const sayer =
  (context: NoticeContext, since: string): Say =>
  (objective, suffix, whose, cause) => {
    if (cause === null) return [];
    const about = facts(context, since, { cause: `${whose} ${cause}`, remedy: remedies[objective] });
    const key = `${context.runId}/${objective}${suffix}`;
    return [{ key, epoch: 0, stage: 0, occasion: 'objective-at-risk', facts: about }];
  };

/** A plan on a terminal of 80 columns: result, objectives, what waits, waves, and the servers that somebody has to know of. */
import { formatDuration, formatTime } from '../model/durations';
import { timeLeftWords } from '../model/estimate/words';
import { shortId } from '../model/ids';
import { placeText, type PlanHeader } from '../model/plan';
import type { PlanObjective } from '../model/plan-view/plan-objectives';
import { busyServers, type HoldView, type PlanView } from '../model/plan-view/plan-view';
import type { ServerOfPlanView, ServerStage } from '../model/plan-view/server-of-plan';
import { serverStages } from '../model/plan-view/server-of-plan';
import type { StageCounts, WaveView } from '../model/plan-view/waves';
import type { PlanDetail } from './documents';
import { paragraph, table, type Output } from './output';
import { halfAbortLines, waitingLines } from './show-run';

/** `run`: what the plan is called in the commands that are shown; a part of its id where nothing else is given. */
export function showPlan(
  out: Output,
  { view, notice, timeLeft }: Pick<PlanDetail, 'view' | 'notice' | 'timeLeft'>,
  run = shortId(view.runId),
): void {
  heading(out, view);
  if (timeLeft !== null) out.line(paragraph(out, 'left', timeLeftWords(timeLeft)));
  for (const line of halfAbortLines(out, view, run)) out.line(line);
  if (notice !== null) out.line(paragraph(out, 'note', notice));
  for (const hold of view.holds.filter(({ until }) => until === null))
    out.line(paragraph(out, 'held', holdWords(hold)));
  for (const parking of view.parkings.filter(({ until }) => until === null)) {
    out.line();
    for (const line of waitingLines(out, parking, run)) out.line(line);
  }
  out.line();
  out.line(waveTable(out, view));
  const busy = busyServers(view).sort((a, b) => rank(a.stage) - rank(b.stage));
  const pending = view.waves.flatMap(({ servers }) => servers).filter(({ stage }) => stage === 'pending');
  if (busy.length > 0) out.line();
  if (busy.length > 0) out.line(serverTable(out, busy.slice(0, mostServers)));
  if (busy.length > mostServers) out.line(`and ${busy.length - mostServers} more (\`--json\` has all)`);
  for (const line of pendingLines(out, pending, placeWords(view.order))) out.line(line);
}

/** More is no page that anybody reads at night. */
const mostServers = 25;
const rank = (stage: ServerStage): number => serverStages.indexOf(stage);

function heading(out: Output, view: PlanView): void {
  const { order, clocks } = view;
  const { runbook } = order;
  const line = (label: string, text: string): void => out.line(paragraph(out, label, text));
  out.line(`Run ${view.runId}  ${out.colors.bold(view.state.replaceAll('-', ' '))}`);
  if (view.summary !== null) line('result', view.summary);
  const version = runbook.version === 0 ? 'not imported' : `version ${runbook.version}`;
  line('runbook', `${runbook.title} (${runbook.name}, ${version}, ${runbook.sha256.slice(0, 12)}…)`);
  line('order', `${order.mode}, ${order.intent}${order.plan.direction === 'failback' ? ', failback' : ''}`);
  line('asked', `${formatTime(order.requestedAt)} by ${order.requestedBy.actor.name}: ${order.reason}`);
  const { elapsedMs, machineMs, waitingMs } = clocks;
  line(
    'clocks',
    `${formatDuration(elapsedMs)} = ${formatDuration(machineMs)} machine + ${formatDuration(waitingMs)} waiting for people`,
  );
  for (const { tier, rpo, rto } of view.tiers) {
    if (tier !== null && rpo.targetMs === null && rto.targetMs === null) continue;
    line(tier === null ? 'whole' : `tier ${tier}`, `RPO ${planObjectiveWords(rpo)}; RTO ${planObjectiveWords(rto)}`);
  }
}

export function planObjectiveWords({ actualMs, targetMs, verdict, because: sentence }: PlanObjective): string {
  const because = clause(sentence);
  const target = targetMs === null ? '' : ` of ${formatDuration(targetMs)}`;
  if (verdict === 'unknown' && targetMs !== null) return `objective ${formatDuration(targetMs)}, ${because}`;
  if (actualMs === null) return verdict === 'missed' ? `missed${target}: ${because}` : because;
  return `${formatDuration(actualMs)}${target}${verdict === 'unknown' ? ` (${because})` : `: ${verdict}`}`;
}

/** A sentence as a part of a longer one. */
const clause = (sentence: string): string =>
  `${sentence.slice(0, 1).toLowerCase()}${sentence.slice(1).replace(/\.$/, '')}`;

export function holdWords({ of, by, since, reason }: HoldView): string {
  const place = of.kind === 'run' ? 'the whole plan' : placeText(of);
  return `${place} since ${formatTime(since)} by ${by.actor.name}: ${reason}`;
}

function waveTable(out: Output, { waves, parts }: PlanView): string {
  const columns = [
    { title: 'wave', width: 14 },
    { title: 'done', width: 9, right: true },
    { title: '', width: barLength },
    { title: 'time', width: 11, right: true },
    { title: 'now', width: 18, grows: true },
  ];
  const rows = waves.map((wave) => [
    wave.name,
    `${wave.done}/${wave.servers.length}`,
    bar(wave.done, wave.servers.length),
    wave.startedAt === null ? '' : formatDuration(wave.clocks.elapsedMs),
    nowOf(wave),
  ]);
  const included = parts.map((part) => {
    const { done } = part;
    const now = part.state === null ? waitsFor(part.waitsFor) : `${part.state}, …${shortId(part.runId)}`;
    return [`+ ${part.name}`, `${done}/${part.serverCount}`, bar(done, part.serverCount), '', now];
  });
  return table(out, columns, [...rows, ...included]);
}

const barLength = 12;
export const bar = (done: number, all: number): string =>
  all === 0 ? '' : '█'.repeat(Math.floor((done / all) * barLength)).padEnd(barLength, '░');

function nowOf(wave: WaveView): string {
  if (wave.gate?.state === 'waiting') return `gate ${wave.gate.name} waits for people`;
  if (wave.waitsFor.length > 0) return waitsFor(wave.waitsFor);
  return countWords(wave.counts);
}

const waitsFor = (names: readonly string[]): string => (names.length === 0 ? '' : `waits for ${someOf(names)}`);

const mostNames = 3;
const someOf = (names: readonly string[]): string =>
  names.length <= mostNames
    ? names.join(', ')
    : `${names.slice(0, mostNames).join(', ')} and ${names.length - mostNames} more`;

export const countWords = (counts: StageCounts): string =>
  Object.entries(counts)
    .map(([stage, count]) => `${count} ${stage.replaceAll('-', ' ')}`)
    .join(', ');

function serverTable(out: Output, servers: readonly ServerOfPlanView[]): string {
  const columns = [
    { title: 'server', width: 14, grows: true },
    { title: 'wave', width: 12 },
    { title: 'state', width: 9 },
    { title: 'step', width: 18 },
    { title: 'time', width: 11, right: true },
    { title: 'run', width: 9 },
  ];
  return table(
    out,
    columns,
    servers.map(({ name, wave, stage, step, clocks, runId }) => [
      name,
      wave,
      stage === 'stuck' ? 'STUCK' : stage.replaceAll('-', ' '),
      step ?? '',
      formatDuration(clocks.elapsedMs),
      runId === null ? '' : `…${shortId(runId)}`,
    ]),
  );
}

/** Whose limits: they may be of a plan that includes this one. */
function placeWords({ placesFrom, partOf }: PlanHeader): string {
  const giver = placesFrom && partOf?.runbooks?.at(-placesFrom.path.length);
  return `for a free place${giver === undefined ? '' : `; the limits of runbook ${giver}, which includes this one, hold here, too`}`;
}

/** Those that have not begun, by what they wait for: 500 of them are a few lines. */
function pendingLines(out: Output, pending: readonly ServerOfPlanView[], place: string): string[] {
  const groups = new Map<string, string[]>();
  for (const { name, waitsFor: names } of pending) {
    const cause = names.length === 0 ? place : `for ${someOf(names)}`;
    groups.set(cause, [...(groups.get(cause) ?? []), name]);
  }
  const lines = [...groups]
    .slice(0, mostGroups)
    .map(([cause, names]) =>
      paragraph(out, 'pending', `${someOf(names)} ${names.length === 1 ? 'waits' : 'wait'} ${cause}`),
    );
  const rest = [...groups.values()].slice(mostGroups).flat().length;
  return [
    ...(lines.length > 0 ? [''] : []),
    ...lines,
    ...(rest > 0 ? [paragraph(out, '', `and ${rest} more servers`)] : []),
  ];
}
const mostGroups = 8;

/** What the template of a plan's report shows, in the words and units in which it shows it. */
import { formatDuration, formatTime } from '../model/durations';
import { timeLeftWords } from '../model/estimate/words';
import { shortId } from '../model/ids';
import type { PlanException, PlanReport } from '../model/plan-report';
import type { PlanObjective } from '../model/plan-view/plan-objectives';
import { isDone, type ServerOfPlanView, type ServerStage } from '../model/plan-view/server-of-plan';
import type { PartView, WaveView } from '../model/plan-view/waves';
import { clockFigure } from './figures';
import { planRehearsedSection } from './plan-rehearsed-section';
import { toldSection } from './told-section';
import { decisionWords, runWords, verdictChips, type Chip } from './words';

export function planReportPage(report: PlanReport, css: string) {
  const { order, headline, journal } = report;
  const { runbook } = order;
  const version = runbook.version === 0 ? 'not imported' : `version ${runbook.version}`;
  return {
    css,
    documentTitle: `${headline.title}: ${runbook.title}, run ${shortId(report.runId)}`,
    kind: `${order.mode === 'rehearsal' ? 'Rehearsal' : 'Recovery'} of a runbook`,
    title: runbook.title,
    runId: report.runId,
    generatedAt: formatTime(report.generatedAt),
    tone: headline.tone,
    headline: headline.title,
    sentence: headline.sentence,
    state: runWords[report.state],
    requestedAt: formatTime(order.requestedAt),
    requestedBy: order.requestedBy.actor.name,
    reason: order.reason,
    closedAt: report.closedAt === null ? '' : formatTime(report.closedAt),
    timeLeft: report.timeLeft === null ? '' : timeLeftWords(report.timeLeft),
    exceptions: report.exceptions.map(exceptionRow),
    waitingFor: report.waitingFor.map(({ step, item, since, waitingMs, cause, remedy }) => ({
      ...{ place: item === null ? step : `${step} ${item}`, since: formatTime(since), cause, remedy },
      waited: formatDuration(waitingMs),
    })),
    objectives: report.tiers.flatMap(({ tier, servers, rpo, rto }) => [
      objectiveRow(tier, servers, 'RPO', rpo),
      objectiveRow(tier, servers, 'RTO', rto),
    ]),
    clocks: clockFigure(report.clocks),
    costs: report.costs.slice(0, mostCosts).map(({ step, servers, totalMs, medianMs, pastMedianMs, longest }) => ({
      ...{ step, servers, total: formatDuration(totalMs), median: formatDuration(medianMs) },
      past: pastMedianMs === null ? 'no past runs' : formatDuration(pastMedianMs),
      longest: `${formatDuration(longest.ms)} (${longest.server})`,
    })),
    waves: report.waves.map((wave, index) => waveRows(wave, index, report)),
    parts: report.parts.flatMap((part) => partRows(part, [])),
    gates: report.gates.map(({ title, item, remedy, since, until, waitingMs, cause, answers }) => ({
      ...{ title, item: item ?? '', question: remedy, since: formatTime(since), cause },
      until: until === null ? '' : formatTime(until),
      waited: formatDuration(waitingMs),
      answers: answers.map(({ at, by, act, reason }) => ({ at: formatTime(at), by: by.actor.name, act, reason })),
    })),
    holds: report.holds.map(({ of, since, until, by, reason, endedBy }) => ({
      place: 'name' in of ? `${of.kind === 'wave' ? 'Wave' : 'Server'} ${of.name}` : wholePlan[of.kind],
      ...{ reason, by: by.actor.name, since: formatTime(since), until: until === null ? '' : formatTime(until) },
      endedBy: endedBy?.actor.name ?? '',
    })),
    decisions: report.decisions.map(({ at, by, decision, step, item, reason }) => ({
      ...{ at: formatTime(at), by: by.actor.name, reason },
      what: [decisionWords[decision], step, item].filter((part) => part !== null).join(' '),
    })),
    told: toldSection(report.told),
    rehearsed: planRehearsedSection(report),
    trend: report.trend.map((past) => ({
      ...{ startedAt: formatTime(past.startedAt), mode: past.mode, version: past.version, servers: past.servers },
      ...{ state: runWords[past.state], elapsed: formatDuration(past.elapsedMs), waiting: formatDuration(past.waitingMs) },
      rpo: past.rpoMs === null ? '' : formatDuration(past.rpoMs),
      rto: past.rtoMs === null ? '' : formatDuration(past.rtoMs),
    })),
    runbook: `${runbook.name}, ${version}`,
    sha256: runbook.sha256,
    text: report.text ?? '',
    facts: [
      { term: 'Last row of the journal', value: journal.headHash ?? 'not known: the journal has not caught up' },
      ...Object.entries(report.versions).map(([term, value]) => ({ term, value })),
      ...Object.entries(journal.childHashes).map(([term, value]) => ({ term: `Run …${shortId(term)}`, value })),
    ],
    events: journal.events,
  };
}

export type PlanReportPage = ReturnType<typeof planReportPage>;

const mostCosts = 8;

const exceptionWords = {
  skipped: 'Skipped',
  failed: 'Failed',
  'not-undone': 'Not undone',
  'step-skipped': 'Not every step was done',
} as const satisfies Record<PlanException['kind'], string>;

function exceptionRow({ kind, what, within, reason, by, at, runId }: PlanException) {
  return {
    ...{ word: exceptionWords[kind], what, reason, by: by?.actor.name ?? 'nobody by decision' },
    within: within.length === 0 ? '' : `in runbook ${within.join(', ')}`,
    ...{ at: at === null ? '' : formatTime(at), runId: runId ?? '', short: runId === null ? '' : shortId(runId) },
  };
}

interface PartRow {
  readonly name: string;
  readonly anchor: string;
  readonly done: number;
  readonly all: number;
  /** Its own; those of what it includes stand with that. */
  readonly servers: readonly ReturnType<typeof serverRow>[];
  readonly version: number;
  readonly sha256: string;
  readonly runId: string;
  readonly short: string;
  readonly state: string;
}

/** An included runbook, and what it includes itself below it. */
function partRows(part: PartView, above: readonly string[]): PartRow[] {
  const { name, done, serverCount: all, version, sha256, runId, state, skipped, parts } = part;
  const path = [...above, name];
  const words = skipped ? 'skipped' : state === null ? 'not started' : runWords[state];
  const row = {
    ...{ name: path.join(' / '), anchor: `part-${path.join('-')}`, done, all, servers: part.servers.map(serverRow) },
    ...{ version, sha256, runId, short: shortId(runId), state: words },
  };
  return [row, ...parts.flatMap((inner) => partRows(inner, path))];
}

function objectiveRow(tier: number | null, servers: number, name: string, objective: PlanObjective) {
  const { targetMs, actualMs, marginMs, verdict, because } = objective;
  const hasTarget = targetMs !== null;
  return {
    of: tier === null ? 'The whole' : `Tier ${tier}`,
    ...{ servers, name, because },
    target: hasTarget ? formatDuration(targetMs) : 'none',
    actual: actualMs === null ? 'not known' : formatDuration(actualMs),
    margin: marginMs === null ? '' : marginMs >= 0 ? formatDuration(marginMs) : `−${formatDuration(-marginMs)}`,
    chip: hasTarget ? verdictChips[verdict] : ({ text: 'no target', tone: 'quiet' } satisfies Chip),
  };
}

function waveRows(wave: WaveView, index: number, { openedAt, clocks }: PlanReport) {
  const start = Date.parse(openedAt);
  const span = Math.max(1, clocks.elapsedMs);
  const at = (time: string | null): number =>
    time === null ? 100 : (100 * Math.min(span, Math.max(0, Date.parse(time) - start))) / span;
  const from = wave.startedAt === null ? 100 : at(wave.startedAt);
  const all = wave.done === wave.servers.length;
  const { elapsedMs, machineMs, waitingMs } = wave.clocks;
  const gate = wave.gate === null ? '' : ` Gate ${wave.gate.title}: ${wave.gate.state}.`;
  return {
    anchor: `wave-${index + 1}`,
    title: wave.title,
    chip: { text: `${wave.done} of ${wave.servers.length} done`, tone: all ? 'good' : 'open' } satisfies Chip,
    left: `${from.toFixed(2)}%`,
    width: `${Math.max(0, at(wave.doneAt) - from).toFixed(2)}%`,
    took: wave.startedAt === null ? '' : formatDuration(elapsedMs),
    facts: `${formatDuration(machineMs)} machine time, ${formatDuration(waitingMs)} waiting for people.${gate}`,
    servers: wave.servers.map(serverRow),
  };
}

const stageTones: Partial<Record<ServerStage, Chip['tone']>> = {
  stuck: 'bad',
  failed: 'bad',
  aborted: 'bad',
  skipped: 'bad',
  waiting: 'warning',
  held: 'warning',
  undoing: 'warning',
  unproven: 'warning',
  'succeeded-with-exceptions': 'warning',
  running: 'open',
  proven: 'good',
  succeeded: 'good',
};

function serverRow(server: ServerOfPlanView) {
  const { name, tier, stage, step, clocks, objectives, runId, runs, startedAt } = server;
  const objective = (one: NonNullable<typeof objectives>['rpo'] | undefined): string =>
    one?.actualMs == null ? '' : `${formatDuration(one.actualMs)}${one.verdict === 'missed' ? ', missed' : ''}`;
  const notes = [
    ...(!isDone(server) && step !== null ? [`at ${step}`] : []),
    ...(runs > 1 ? [`${runs} runs`] : []),
    ...(server.skipped.length > 0 ? [`skipped ${server.skipped.join(', ')}`] : []),
  ];
  return {
    ...{ name, tier, note: notes.join('; '), runId: runId ?? '', short: runId === null ? '' : shortId(runId) },
    chip: { text: stage.replaceAll('-', ' '), tone: stageTones[stage] ?? 'quiet' } satisfies Chip,
    time: startedAt === null ? '' : formatDuration(clocks.elapsedMs),
    rpo: objective(objectives?.rpo),
    rto: objective(objectives?.rto),
  };
}

const wholePlan = { run: 'The whole plan', plan: 'With the plan that includes it' } as const;

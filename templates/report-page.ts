/** What the report's templates show, in the words and units in which they show it. */
import { formatDuration, formatSize, formatTime } from '../model/durations';
import { timeLeftWords } from '../model/estimate/words';
import { shortId } from '../model/ids';
import type { ReportException, RunReport } from '../model/report';
import { rungsNotShown } from '../model/results';
import type { DecisionView, ParkingView, RefusalView } from '../model/run-view';
import type { Exhibit } from './exhibits';
import { clockFigure, objectiveFigure, timelineOf } from './figures';
import { pastSection } from './past-section';
import { rehearsalSection } from './rehearsal-section';
import { stepDetails } from './step-details';
import { toldSection } from './told-section';
import { decisionWords, optionWords, runWords } from './words';

export interface Fact {
  readonly term: string;
  readonly value: string;
}

export function reportPage(report: RunReport, exhibits: readonly Exhibit[], css: string) {
  const { order, headline, proof } = report;
  const inProof = new Set((proof?.rungs ?? []).flatMap((rung) => rung.evidence.map(({ sha256 }) => sha256)));
  const labels = new Map(exhibits.map((exhibit) => [exhibit.sha256, exhibit]));
  const rehearsal = order.mode === 'rehearsal';
  return {
    css,
    documentTitle: `${headline.title}: ${order.server.name}, run ${shortId(report.runId)}`,
    kind: rehearsal ? 'Rehearsal report' : 'Recovery report',
    procedure: report.procedure.title,
    serverName: order.server.name,
    runId: report.runId,
    generatedAt: formatTime(report.generatedAt),
    tone: headline.tone,
    headline: headline.title,
    sentence: headline.sentence,
    state: runWords[report.state],
    requestedAt: formatTime(report.requestedAt),
    closedAt: report.closedAt === null ? '' : formatTime(report.closedAt),
    timeLeft: report.timeLeft === null ? '' : timeLeftWords(report.timeLeft),
    exceptions: report.exceptions.map(exceptionRow),
    waitingFor: report.waitingFor.map((parking) => waitRow(parking, report)),
    objectives: [
      objectiveFigure('Recovery point objective (RPO)', 'Data lost, as time', report.objectives.rpo),
      objectiveFigure('Recovery time objective (RTO)', 'Time until the server was proven', report.objectives.rto),
    ],
    clocks: clockFigure(report.clocks),
    timeline: timelineOf(report),
    proof: {
      given: proof !== null,
      partly: rungsNotShown(proof).length > 0,
      provenAt: proof === null ? '' : formatTime(proof.provenAt),
      rungs: (proof?.rungs ?? []).map((rung) => ({
        name: rung.name.replaceAll('-', ' '),
        ok: rung.ok,
        detail: rung.detail,
        exhibits: rung.evidence.flatMap(({ sha256 }) => labels.get(sha256) ?? []),
      })),
      pictures: exhibits.filter(({ sha256, image }) => image !== '' && inProof.has(sha256)),
    },
    rehearsal: rehearsalSection(report),
    past: pastSection(report.past),
    told: toldSection(report.told),
    steps: stepDetails(report, labels),
    decisions: report.decisions.map((decision) => decisionRow(decision, report)),
    refusals: report.refusals.map((refusal) => refusalRow(refusal, report)),
    exhibits,
    shown: exhibits.filter((one) => one.text !== '' || (one.image !== '' && !inProof.has(one.sha256))),
    notes: report.notes.map(({ at, message }) => ({ at: formatTime(at), message })),
    orderFacts: orderFacts(report),
    orderJson: JSON.stringify(order, null, 2),
    versions: Object.entries(report.versions).map(([term, value]): Fact => ({ term, value })),
    events: report.journal.events,
    headHash: report.journal.headHash ?? '',
    childHashes: Object.entries(report.journal.childHashes).map(([term, value]): Fact => ({ term, value })),
  };
}

export type ReportPage = ReturnType<typeof reportPage>;

const exceptionWords = {
  skipped: 'Skipped',
  'left-behind': 'Not undone',
  'not-done': 'Not done',
} as const satisfies Record<ReportException['kind'], string>;

function exceptionRow({ kind, position, title, items, reason, by, at, why }: ReportException) {
  return {
    word: exceptionWords[kind],
    position,
    title,
    items: items.join(', '),
    reason: reason ?? 'No reason is in the record.',
    by: by?.name ?? 'nobody by decision',
    at: at === null ? '' : formatTime(at),
    missing: `${kind === 'left-behind' ? 'Its undo would have been' : 'What the step is for'}: ${why}`,
  };
}

function waitRow(parking: ParkingView, report: RunReport) {
  return {
    title: titleOf(report, parking.step),
    item: parking.item ?? '',
    undo: parking.undo,
    since: formatTime(parking.since),
    waited: formatDuration(parking.waitingMs),
    cause: parking.cause,
    remedy: parking.remedy,
    allowed: parking.allowed.map((decision) => decisionWords[decision]).join(', '),
  };
}

function decisionRow(decision: DecisionView, report: RunReport) {
  const { at, by, step, item, reason, from, input, waitedMs } = decision;
  const corrections = Object.entries(input ?? {}).map(([field, value]) => `${field} = ${JSON.stringify(value)}`);
  return {
    at: formatTime(at),
    who: by.actor.name,
    role: by.actor.role ?? '',
    door: [by.authMethod, by.address].filter((part) => part !== '').join(' from '),
    word: decisionWords[decision.decision],
    skip: decision.decision === 'skip' || decision.decision === 'abort',
    where: [step === null ? 'The whole run' : titleOf(report, step), item].filter((part) => part !== null).join(', '),
    reason,
    more: [...(from === null ? [] : [`back to: ${titleOf(report, from)}`]), ...corrections].join('; '),
    waited: waitedMs === null ? '' : formatDuration(waitedMs),
  };
}

function refusalRow({ at, by, step, decision, because }: RefusalView, report: RunReport) {
  return {
    at: formatTime(at),
    who: by.actor.name,
    word: decision,
    where: step === null ? 'The whole run' : titleOf(report, step),
    because,
  };
}

function titleOf(report: RunReport, step: string): string {
  return report.steps.find(({ id }) => id === step)?.title ?? step;
}

function orderFacts({ order, point }: RunReport): Fact[] {
  const { server, target, requestedBy } = order;
  const networks = Object.entries(target.networks).map(([from, to]) => `${from} → ${to}`);
  const disks = server.disks.map(({ id, sizeBytes }) => `${id} ${formatSize(sizeBytes)}`);
  const facts: [string, string | null][] = [
    ['Server', `${server.name} (tier ${server.tier})`],
    ['Operating system', server.os.prettyName ?? server.os.family],
    ['Source', `${server.source.machineName} at ${server.source.siteId}`],
    ['Target', `${target.machineName} at ${target.siteId}`],
    ['Hardware', target.hardware.title],
    ['Size', `${target.cpuCount} processors, ${formatSize(target.memoryBytes)} memory, ${target.firmware}`],
    ['Disks', disks.join(', ')],
    ['Networks', networks.join(', ') || 'none'],
    ['Mode', `${order.mode}, ${order.intent}`],
    ['Option', optionWords[order.option]],
    [
      'Recovery point',
      point === null ? `${order.point}; none was frozen` : `${formatTime(point.takenAt)}, ${point.pointId}`,
    ],
    ['Consistency', point === null ? null : point.consistency],
    ['Inoculation', order.inoculate ? 'yes' : 'no'],
    ['Power on', order.powerOn === 'automatic' ? 'automatic' : 'behind a decision'],
    ['Server lost', order.lostAt === null ? 'not stated' : formatTime(order.lostAt)],
    ['Button pushed', `${formatTime(order.requestedAt)} by ${requestedBy.actor.name}`],
    ['Reason', order.reason],
  ];
  return facts.flatMap(([term, value]) => (value === null ? [] : [{ term, value }]));
}

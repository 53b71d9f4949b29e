/** One run on a terminal of 80 columns: result first, then what waits, then every step. */
import { formatDuration, formatTime } from '../model/durations';
import { timeLeftWords } from '../model/estimate/words';
import { shortId } from '../model/ids';
import type { ObjectiveResult } from '../model/objectives';
import type { ParkingView, RunView, StepView } from '../model/run-view';
import type { DecisionKind, StepState } from '../model/steps';
import type { HalfDecision, Standing } from '../model/waiting';
import { progressLine } from './watch/progress';
import type { ActDocument, ServerDetail } from './documents';
import { commandLines, paragraph, table, type Output } from './output';

/** `run`: what the run is called in the commands that are shown; a part of its id where nothing else is given. */
export function showRun(
  out: Output,
  { view, notice, timeLeft, progress, acts }: ServerDetail,
  run = shortId(view.runId),
): void {
  heading(out, view);
  if (timeLeft !== null) out.line(paragraph(out, 'left', timeLeftWords(timeLeft)));
  for (const line of halfAbortLines(out, view, run)) out.line(line);
  if (notice !== null) out.line(paragraph(out, 'note', notice));
  const open = view.parkings.filter((parking) => parking.until === null);
  for (const parking of open) {
    out.line();
    for (const line of waitingLines(out, parking, run)) out.line(line);
  }
  for (const act of acts.filter((each) => each.state !== 'accepted')) out.line(paragraph(out, 'sent', actWords(act)));
  out.line();
  out.line(stepTable(out, view.steps));
  if (progress.length > 0) out.line();
  for (const { progress: now } of progress) out.line(progressLine(now, out.width));
}

function heading(out: Output, view: RunView): void {
  const { order, clocks, objectives } = view;
  const line = (label: string, text: string): void => out.line(paragraph(out, label, text));
  const { bold } = out.colors;
  out.line(`Run ${view.runId}  ${bold(view.state.replaceAll('-', ' '))}`);
  if (view.summary !== null) line('result', view.summary);
  line(
    'server',
    `${order.server.name} as ${order.target.machineName} at ${order.target.siteId}, ${order.target.hardware.id}`,
  );
  line('order', `${order.mode}, ${order.intent}, ${order.option}${order.inoculate ? '' : ', without inoculation'}`);
  line('asked', `${formatTime(order.requestedAt)} by ${order.requestedBy.actor.name}: ${order.reason}`);
  line(
    'clocks',
    `${formatDuration(clocks.elapsedMs)} = ${formatDuration(clocks.machineMs)} machine + ${formatDuration(clocks.waitingMs)} waiting for people`,
  );
  line('RPO', objectiveWords(objectives.rpo));
  line('RTO', objectiveWords(objectives.rto));
}

/** An abort that one of two has asked for. */
export function halfAbortLines(
  out: Pick<Output, 'width'>,
  { halfAbort }: Pick<RunView, 'halfAbort'>,
  run: string,
): string[] {
  if (halfAbort === null) return [];
  const { by, reason } = halfAbort;
  const words = `1 of 2, by ${by.name}: ${reason}; a second person is needed (muster abort ${run} --reason '…'), or ${by.name} takes it back (muster withdraw ${run} --abort --reason '…')`;
  return [paragraph(out, 'abort', words)];
}

export function objectiveWords({ actualMs, targetMs, verdict, because }: ObjectiveResult): string {
  const target = formatDuration(targetMs);
  if (actualMs === null) return `objective ${target}; ${because}`;
  return `${formatDuration(actualMs)} of ${target}: ${verdict}`;
}

/** What waits, why, and the commands that answer it. */
export function waitingLines(out: Pick<Output, 'width'>, parking: ParkingView, run: string): string[] {
  const place = parking.item === null ? parking.step : `${parking.step}/${parking.item}`;
  const title = parking.kind === 'gate' ? 'Waits for a decision' : parking.undo ? 'Stuck while undoing' : 'Stuck';
  return [
    `${title} at ${place} for ${formatDuration(parking.waitingMs)}`,
    paragraph(out, '  cause', parking.cause),
    paragraph(out, '  do', parking.remedy),
    ...standingLines(out, parking),
    ...parking.allowed.map((decision, i) => commandLines(out, i === 0 ? '  decide' : '', commandFor(decision, run))),
  ];
}

type HalfShown = Omit<HalfDecision, 'input'> & { readonly input?: unknown };
type StandingShown = Omit<Standing, 'half'> & { readonly half?: HalfShown | null };

/** Who has taken it, who has agreed so far, and what waits for a second pair of eyes. */
export function standingLines(
  out: Pick<Output, 'width'>,
  { claimedBy, gate, approvals, half }: StandingShown,
): string[] {
  const given = (approvals ?? []).map(({ by, reason }) => `${by.name} (${reason})`).join(', ');
  return [
    ...(claimedBy == null ? [] : [paragraph(out, '  taken', `by ${claimedBy.name}`)]),
    ...(gate == null
      ? []
      : [
          paragraph(
            out,
            '  approved',
            `${approvals?.length ?? 0} of ${gate.needed}${given === '' ? '' : `: ${given}`}`,
          ),
        ]),
    ...(half == null
      ? []
      : [
          paragraph(
            out,
            '  1 of 2',
            `${halfWords(half)} by ${half.by.name}: ${half.reason}; a second person is needed`,
          ),
        ]),
  ];
}

/** As it is typed, for the second person has to give the same: `retry --from inoculate --set inoculate=false`. */
function halfWords({ decision, from, input }: HalfShown): string {
  const typed = (value: unknown): string =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.entries(value)
          .map((pair) => pair.join('='))
          .join(',')
      : String(value);
  const corrections = Object.entries(input ?? {}).map(([field, value]) => ` --set ${field}=${typed(value)}`);
  return `${decision}${from === null ? '' : ` --from ${from}`}${corrections.join('')}`;
}

/** The command that answers, as it is typed; `at`: where the run waits, for who has not looked at the run. */
export function commandFor(
  decision: DecisionKind,
  run: string,
  at: { readonly step: string | null; readonly item: string | null } = { step: null, item: null },
): string {
  const words = [`muster ${decision} ${run}`];
  // An abort is of the whole run.
  if (decision !== 'abort' && at.step !== null) words.push(`--step ${at.step}`);
  if (decision !== 'abort' && at.item !== null) words.push(`--item ${at.item}`);
  if (decision === 'provide') words.push('--set FIELD=VALUE');
  // A claim explains itself.
  if (decision !== 'claim' && decision !== 'release') words.push("--reason '…'");
  return words.join(' ');
}

function stepTable(out: Output, steps: readonly StepView[]): string {
  const columns = [
    { title: '#', width: 2, right: true },
    { title: 'step', width: 20 },
    { title: 'state', width: 14 },
    { title: 'time', width: 12, right: true },
    { title: 'note', width: 16, grows: true },
  ];
  return table(
    out,
    columns,
    steps.map((step) => [
      String(step.position),
      step.id,
      stateWord[step.state],
      step.startedAt === null ? '' : formatDuration(step.clocks.elapsedMs),
      noteOf(step),
    ]),
  );
}

const stateWord: Record<StepState, string> = {
  pending: '·',
  running: 'running',
  waiting: 'waits for you',
  stuck: 'STUCK',
  done: 'done',
  'not-applicable': 'not needed',
  skipped: 'SKIPPED',
  failed: 'failed',
  undone: 'undone',
};

function noteOf(step: StepView): string {
  const failed = step.attempts.filter((attempt) => attempt.outcome === 'failed').length;
  const words = [
    step.leftBehind ? 'NOT UNDONE' : undefined,
    step.because ?? undefined,
    step.items.length > 1
      ? `${step.items.filter((item) => item.state === 'done').length}/${step.items.length} disks`
      : undefined,
    failed > 0 ? `${failed} failed ${failed === 1 ? 'attempt' : 'attempts'}` : undefined,
  ];
  return words.filter((word) => word !== undefined).join('; ');
}

function actWords(act: ActDocument): string {
  return `${act.act} by ${act.by}: ${act.state}${act.message === null ? '' : ` (${act.message})`}`;
}

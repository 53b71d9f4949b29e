/** A run, live, until its end: events as lines, long activities as bars. Goes on after a broken connection. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isClosedRun } from '../../model/steps';
import type { Context } from '../context';
import type { ActivityProgress, NumberedEvent, RunDetail } from '../documents';
import { CliError, exitCodeOf } from '../exit-codes';
import { planObjectiveWords } from '../show-plan';
import { objectiveWords } from '../show-run';
import { paragraph } from '../output';
import { readEvents } from './events';
import { askPatiently, mostBreaks, pauseAfterBreakMs } from './patience';
import { createScreen, type Screen } from './screen';
import { shortId } from '../../model/ids';

export interface WatchOptions {
  readonly stopWhenWaiting?: boolean;
  /** Sequence number of the last event that is not shown. */
  readonly after?: number;
}

type End = 'ended' | 'waits' | 'broken';

/** Sets the exit code by how the run ended. @throws CliError `unreachable` when the API stays away. */
export async function watchRun(context: Context, runId: string, options: WatchOptions): Promise<void> {
  const screen = createScreen(context.out, runId);
  const over = new AbortController();
  void lookAgain(context, runId, screen, over.signal);
  try {
    const end = await followToEnd(context, runId, options, screen);
    over.abort();
    screen.end();
    await finish(context, runId, end);
  } finally {
    over.abort();
    screen.end();
  }
}

/** Shows how the run is as a whole, now and again; what breaks is the stream's to tell. */
async function lookAgain({ client }: Context, runId: string, screen: Screen, over: AbortSignal): Promise<void> {
  const { stateEveryMs } = screen;
  while (stateEveryMs !== null && !over.aborted) {
    const began = performance.now();
    const detail = await client.get<RunDetail>(`/runs/${runId}`).catch(() => undefined);
    if (detail !== undefined && !over.aborted && !isClosedRun(detail.view.state)) screen.state(detail);
    // A plan of thousands takes its time to be shown: it is asked for the less often.
    const pauseMs = Math.max(stateEveryMs, 4 * (performance.now() - began));
    await sleep(pauseMs, undefined, { signal: over }).catch(() => undefined);
  }
}

async function followToEnd(context: Context, runId: string, options: WatchOptions, screen: Screen): Promise<End> {
  const first = options.after ?? 0;
  let last = first;
  let breaks = 0;
  let end: End = 'broken';
  while (end === 'broken') {
    const before = last;
    try {
      end = await follow(context, runId, last, options, screen, (sequence) => (last = sequence));
    } catch (error) {
      screen.progress([]);
      if (error instanceof CliError && error.problem !== 'unreachable') throw error;
      const neverThere = last === first && breaks === 0 && !(error instanceof CliError && error.answered);
      if (breaks >= mostBreaks || neverThere) throw error;
    }
    if (end !== 'broken') break;
    breaks = last > before ? 0 : breaks + 1;
    if (breaks > mostBreaks)
      throw new CliError(
        'unreachable',
        `The stream of run ${runId} breaks again and again. \`muster show ${runId}\` shows the run`,
      );
    await sleep(pauseAfterBreakMs);
  }
  screen.progress([]);
  return end;
}

async function follow(
  { client }: Context,
  runId: string,
  after: number,
  options: WatchOptions,
  screen: Screen,
  seen: (sequence: number) => void,
): Promise<End> {
  const cut = new AbortController();
  const headers = { 'last-event-id': String(after), accept: 'text/event-stream' };
  const response = await client.open(`/runs/${runId}/events`, { headers, signal: cut.signal });
  try {
    for await (const { event, data } of readEvents(response.body as unknown as AsyncIterable<Uint8Array>)) {
      if (event === 'end') return 'ended';
      if (event === 'progress') screen.progress((JSON.parse(data) as { activities: ActivityProgress[] }).activities);
      if (event === 'notice') screen.notice((JSON.parse(data) as { notice: string | null }).notice);
      if (event !== 'event') continue;
      const happened = JSON.parse(data) as NumberedEvent;
      seen(happened.sequence);
      screen.event(happened);
      if (options.stopWhenWaiting && isWait(happened) && (await waitsStill(client, runId, happened))) return 'waits';
    }
    return 'broken';
  } finally {
    cut.abort();
  }
}

type Wait = Extract<NumberedEvent, { kind: 'parked' | 'gate-opened' | 'child-waits' }>;
const isWait = (event: NumberedEvent): event is Wait =>
  event.kind === 'parked' || event.kind === 'gate-opened' || event.kind === 'child-waits';

/** An old waiting, seen again from the beginning of the stream, may have been answered long ago. */
async function waitsStill(client: Context['client'], runId: string, { data }: Wait): Promise<boolean> {
  const of = 'runId' in data ? data.runId : runId;
  const { view } = await askPatiently(() => client.get<RunDetail>(`/runs/${of}`));
  return view.parkings.some(({ until, epoch }) => until === null && (!('epoch' in data) || epoch === data.epoch));
}

async function finish({ client, out }: Context, runId: string, end: End): Promise<void> {
  const detail = await askPatiently(() => client.get<RunDetail>(`/runs/${runId}`));
  const { view } = detail;
  const closed = isClosedRun(view.state);
  if (end === 'waits' || !closed) process.exitCode = exitCodeOf('waits-for-people');
  else if (view.state === 'aborted' || view.state === 'failed') process.exitCode = exitCodeOf('run-not-succeeded');
  if (out.json || end === 'waits') return;
  if (!closed) throw new CliError('run-not-succeeded', `Run ${runId} was ended outside Muster: its record has no end`);
  out.line();
  const { rpo, rto } =
    detail.kind === 'plan'
      ? { rpo: planObjectiveWords(detail.view.tiers[0]!.rpo), rto: planObjectiveWords(detail.view.tiers[0]!.rto) }
      : { rpo: objectiveWords(detail.view.objectives.rpo), rto: objectiveWords(detail.view.objectives.rto) };
  out.line(paragraph(out, 'RPO', rpo));
  out.line(paragraph(out, 'RTO', rto));
  out.line(paragraph(out, 'report', `muster report ${shortId(runId)}`));
}

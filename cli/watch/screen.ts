/** Where a watched run is shown: a terminal with bars at its bottom, plain lines, or one JSON document a line. */
import { assertNever } from '../../model/errors';
import type { ActivityProgress, NumberedEvent, RunDetail } from '../documents';
import { jsonText, paragraph, type Output } from '../output';
import { EventLines } from './event-lines';
import { liveBlock } from './live-block';
import { progressLine } from './progress';
import { StateLines, stateBlock } from './state-lines';

export interface Screen {
  event(event: NumberedEvent): void;
  /** What long activities are busy with now; none: the bars go. */
  progress(activities: readonly ActivityProgress[]): void;
  /** How the run is as a whole, asked from time to time. */
  state(detail: RunDetail): void;
  /** How often it is worth asking; null: never. */
  readonly stateEveryMs: number | null;
  /** Nothing is drawn at the foot any more. */
  end(): void;
  /** What keeps the run from going on beside people; null: nothing any more. */
  notice(text: string | null): void;
}

/** Plain lines say how far it is at most once in each of these steps of an activity's share. */
const plainEveryShare = 0.1;

export function createScreen(out: Output, runId: string): Screen {
  const kind = out.json ? 'json' : out.interactive ? 'terminal' : 'plain';
  const lines = new EventLines(out, runId);
  switch (kind) {
    case 'json':
      return {
        event: (event) => void process.stdout.write(`${jsonText(event, 0)}\n`),
        progress: () => undefined,
        state: () => undefined,
        stateEveryMs: null,
        end: () => undefined,
        notice: (text) => void process.stdout.write(`${jsonText({ notice: text }, 0)}\n`),
      };
    case 'terminal':
      return terminal(out, lines);
    case 'plain':
      return plain(out, lines);
    default:
      return assertNever(kind);
  }
}

function terminal(out: Output, lines: EventLines): Screen {
  const block = liveBlock(process.stdout);
  // One column is left free: a line that fills the terminal wraps and is drawn over wrongly.
  const width = out.width - 1;
  let bars: string[] = [];
  let state: string[] = [];
  let isOver = false;
  const draw = (): void => block.draw(isOver ? [] : [...state, ...bars]);
  return {
    stateEveryMs: 2_000,
    event: (event) => lines.of(event).forEach((line) => block.print(line)),
    progress(activities) {
      bars = activities.map(({ progress }) => progressLine(progress, width));
      draw();
    },
    state(detail) {
      // Half of the terminal stays for what happens.
      state = stateBlock({ width, height: Math.max(4, Math.floor((process.stdout.rows ?? 24) / 2)) }, detail);
      draw();
    },
    end() {
      isOver = true;
      draw();
    },
    notice: (text) => block.print(noticeLine(out, text)),
  };
}

function plain(out: Output, lines: EventLines): Screen {
  const told = new Map<string, number>();
  const states = new StateLines(out);
  return {
    stateEveryMs: 10_000,
    state: (detail) => states.of(detail).forEach((line) => out.line(line)),
    end: () => undefined,
    event: (event) => lines.of(event).forEach((line) => out.line(line)),
    notice: (text) => out.line(noticeLine(out, text)),
    progress(activities) {
      for (const { activityId, progress } of activities) {
        const { done, total } = progress;
        const stage = total === null || total <= 0 ? 0 : Math.floor(done / total / plainEveryShare);
        const key = `${activityId}/${progress.label}`;
        if (told.get(key) === stage) continue;
        told.set(key, stage);
        out.line(progressLine(progress, out.width));
      }
    },
  };
}

const noticeLine = (out: Output, text: string | null): string =>
  paragraph(out, 'note', text ?? 'A worker has taken it; the run goes on.');

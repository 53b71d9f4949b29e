/** Where a watched run is shown: a terminal with bars at its bottom, plain lines, or one JSON document a line. */
import { assertNever } from '../../model/errors';
import type { ActivityProgress, NumberedEvent } from '../documents';
import { jsonText, paragraph, type Output } from '../output';
import { EventLines } from './event-lines';
import { liveBlock } from './live-block';
import { progressLine } from './progress';

export interface Screen {
  event(event: NumberedEvent): void;
  /** What long activities are busy with now; none: the bars go. */
  progress(activities: readonly ActivityProgress[]): void;
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
  return {
    event: (event) => lines.of(event).forEach((line) => block.print(line)),
    // One column is left free: a line that fills the terminal wraps and is drawn over wrongly.
    progress: (activities) => block.draw(activities.map(({ progress }) => progressLine(progress, out.width - 1))),
    notice: (text) => block.print(noticeLine(out, text)),
  };
}

function plain(out: Output, lines: EventLines): Screen {
  const told = new Map<string, number>();
  return {
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

/** The geometry of the report's bars, in per cent of their width; drawn by the style sheet alone. */
import { formatDuration } from '../model/durations';
import type { Clocks } from '../model/clocks';
import type { ObjectiveResult } from '../model/objectives';
import type { RunReport } from '../model/report';
import type { StepView } from '../model/run-view';
import { stepChips, verdictChips } from './words';
import type { Chip } from './words';

export interface ObjectiveFigure {
  readonly name: string;
  readonly meaning: string;
  readonly chip: Chip;
  readonly actual: string;
  readonly target: string;
  readonly margin: string;
  readonly because: string;
  readonly measured: boolean;
  readonly judged: boolean;
  readonly fill: string;
  readonly mark: string;
}

export function objectiveFigure(name: string, meaning: string, objective: ObjectiveResult): ObjectiveFigure {
  const { actualMs, targetMs, marginMs, verdict, because } = objective;
  // The longer of both takes 80 % of the bar, so that neither the fill nor the target's mark hits the end.
  const scale = Math.max(actualMs ?? 0, targetMs, 1) / 80;
  return {
    name,
    meaning,
    chip: verdictChips[verdict],
    actual: actualMs === null ? (verdict === 'missed' ? 'Not reached' : 'Not known') : formatDuration(actualMs),
    judged: verdict !== 'unknown',
    target: formatDuration(targetMs),
    margin: marginOf(marginMs),
    because,
    measured: actualMs !== null,
    fill: percent((actualMs ?? 0) / scale),
    mark: percent(targetMs / scale),
  };
}

function marginOf(marginMs: number | null): string {
  if (marginMs === null) return '';
  return marginMs >= 0 ? `${formatDuration(marginMs)} to spare` : `missed by ${formatDuration(-marginMs)}`;
}

export interface ClockFigure {
  readonly elapsed: string;
  readonly machine: string;
  readonly waiting: string;
  readonly machineShare: string;
  readonly waitingShare: string;
}

export function clockFigure({ elapsedMs, machineMs, waitingMs }: Clocks): ClockFigure {
  const share = (ms: number): string => percent(elapsedMs === 0 ? 0 : (100 * ms) / elapsedMs);
  return {
    elapsed: formatDuration(elapsedMs),
    machine: formatDuration(machineMs),
    waiting: formatDuration(waitingMs),
    machineShare: share(machineMs),
    waitingShare: share(waitingMs),
  };
}

export interface TimelineRow {
  readonly position: number;
  readonly anchor: string;
  readonly title: string;
  readonly chip: Chip;
  readonly duration: string;
  readonly segments: readonly { readonly kind: string; readonly left: string; readonly width: string }[];
}

/** One row per step: its attempts, its undo and its waits, along the run. */
export function timelineOf(report: RunReport): TimelineRow[] {
  const start = Date.parse(report.openedAt);
  const span = Math.max(1, report.clocks.elapsedMs);
  const at = (time: string | null): number => {
    const ms = time === null ? span : Date.parse(time) - start;
    return (100 * Math.min(span, Math.max(0, ms))) / span;
  };
  const segment = (kind: string, from: string, to: string | null) => ({
    kind,
    left: percent(at(from)),
    width: percent(Math.max(0, at(to) - at(from))),
  });
  return report.steps.map((step) => ({
    position: step.position,
    anchor: `step-${step.position}`,
    title: step.title,
    chip: stepChip(step),
    duration: step.attempts.length + step.parkings.length === 0 ? '' : formatDuration(step.clocks.elapsedMs),
    segments: [
      ...step.parkings.map((parking) => segment('waited', parking.since, parking.until)),
      ...step.attempts.map((attempt) =>
        segment(attempt.undo ? 'undo' : attempt.outcome, attempt.startedAt, attempt.endedAt),
      ),
    ],
  }));
}

export function stepChip(step: StepView): Chip {
  if (step.leftBehind) return { text: 'undo skipped', tone: 'bad' };
  return stepChips[step.state];
}

function percent(value: number): string {
  return `${value.toFixed(2)}%`;
}

/** Every step with all that was tried, as the report lists it. */
import { formatDuration, formatSize, formatTime } from '../model/durations';
import type { RunReport } from '../model/report';
import type { AttemptView, MeasurementView, ParkingView, StepView } from '../model/run-view';
import type { Exhibit } from './exhibits';
import { stepChip } from './figures';
import { decisionWords, stepChips } from './words';
import type { Chip } from './words';

export function stepDetails(report: RunReport, exhibits: ReadonlyMap<string, Exhibit>) {
  const day = report.openedAt.slice(0, 10);
  return report.steps.map((step) => ({
    position: step.position,
    anchor: `step-${step.position}`,
    title: step.title,
    why: step.why,
    chip: stepChip(step),
    because: step.because ?? '',
    timing: timingOf(step),
    rewinds: step.rewinds === 0 ? '' : `The run went back behind this step ${times(step.rewinds)}.`,
    items: step.items.map(({ item, state }) => ({ item, chip: stepChips[state] })),
    attempts: step.attempts.map((attempt) => attemptRow(attempt, day)),
    parkings: step.parkings.map((parking) => parkingRow(parking, step, day)),
    notes: step.notes.map(({ at, message }) => ({ at: timeOfDay(at, day), message })),
    measurements: step.measurements.map((one) => ({ term: one.name, value: measured(one) })),
    exhibits: [...new Set(step.evidence.flatMap(({ evidence }) => exhibits.get(evidence.sha256) ?? []))],
  }));
}

function timingOf({ attempts, parkings, clocks }: StepView): string {
  if (attempts.length + parkings.length === 0) return '';
  if (clocks.waitingMs === 0) return formatDuration(clocks.elapsedMs);
  return `${formatDuration(clocks.elapsedMs)}, of which ${formatDuration(clocks.waitingMs)} waiting for people`;
}

const outcomeChips: Readonly<Record<AttemptView['outcome'], Chip>> = {
  running: { text: 'running', tone: 'open' },
  succeeded: { text: 'worked', tone: 'good' },
  failed: { text: 'failed', tone: 'bad' },
  unfinished: { text: 'no end recorded', tone: 'bad' },
};

const familyWords = {
  TransientError: 'tried again by itself',
  PermanentError: 'trying again could not help',
  OperatorError: 'a person had to act',
  LostWorker: 'the worker was lost',
  Cancelled: 'ended by a decision',
} as const;

function attemptRow(attempt: AttemptView, day: string) {
  const { item, undo, startedAt, durationMs, failure, nextDelayMs, worker } = attempt;
  return {
    label: `${undo ? 'Undo' : 'Attempt'} ${attempt.attempt}`,
    undo,
    item: item ?? '',
    at: timeOfDay(startedAt, day),
    took: durationMs === null ? '' : formatDuration(durationMs),
    worker: worker ?? '',
    chip: outcomeChips[attempt.outcome],
    failed: failure !== null,
    message: failure?.message ?? '',
    family: failure === null ? '' : familyWords[failure.family],
    remedy: failure?.remedy ?? '',
    detail: failure?.detail ?? '',
    next: nextDelayMs === null ? '' : `Tried again after ${formatDuration(nextDelayMs)}.`,
  };
}

function parkingRow(parking: ParkingView, step: StepView, day: string) {
  const answer = step.decisions.find(({ epoch }) => epoch === parking.epoch);
  return {
    word: parking.kind === 'gate' ? 'Asked people' : parking.undo ? 'Undo stuck' : 'Stuck',
    item: parking.item ?? '',
    at: timeOfDay(parking.since, day),
    waited: formatDuration(parking.waitingMs),
    cause: parking.cause,
    remedy: parking.remedy,
    reminders: parking.reminders === 0 ? '' : `Reminded ${times(parking.reminders)}.`,
    open: parking.until === null,
    answered: answer !== undefined,
    answer: answer === undefined ? '' : decisionWords[answer.decision],
    who: answer?.by.actor.name ?? '',
    reason: answer?.reason ?? '',
  };
}

function measured({ value, unit }: MeasurementView): string {
  if (unit === 'ms') return formatDuration(value);
  return unit === 'bytes' ? formatSize(value) : String(value);
}

/** The time alone on the run's first day, so that columns stay narrow; the report says once that times are UTC. */
function timeOfDay(at: string, day: string): string {
  return at.startsWith(day) ? at.slice(11).replace('Z', '') : formatTime(at);
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

/** A server's run beside its past ones of the same mode: which step cost most, how that compares with its median, and the trend. */
import type { PastTimes } from './estimate/past';
import { medianOf } from './estimate/quantile';
import { waitingSteps } from './plan-view/step-costs';
import type { RunView } from './run-view';

export interface RunPast {
  /** The most expensive first; only steps that have begun. */
  readonly costs: readonly RunStepCost[];
  /** Newest first. Runs that did not go well, or had exceptions, are not among them. */
  readonly trend: readonly PastTimes[];
}

export interface RunStepCost {
  readonly step: string;
  readonly title: string;
  readonly machineMs: number;
  /** Of past runs with the same option; null where there are none. */
  readonly pastMedianMs: number | null;
  readonly pastRuns: number;
}

const mostShown = 10;

/** `past`: of the same server, newest first. Rehearsals are no measure of recoveries, nor the other way round. */
export function runPast({ runId, order, openedAt, steps }: RunView, past: readonly PastTimes[]): RunPast {
  const before = past.filter((one) => one.runId !== runId && one.mode === order.mode && one.closedAt <= openedAt);
  const alike = before.filter(({ option }) => option === order.option);
  const costs = steps
    .filter(({ id, startedAt }) => startedAt !== null && !waitingSteps.has(id))
    .map(({ id, title, clocks }): RunStepCost => {
      const times = alike.flatMap((one) => one.steps[id] ?? []);
      const pastMedianMs = times.length === 0 ? null : medianOf(times);
      return { step: id, title, machineMs: clocks.machineMs, pastMedianMs, pastRuns: times.length };
    })
    .sort((a, b) => b.machineMs - a.machineMs);
  return { costs, trend: before.slice(0, mostShown) };
}

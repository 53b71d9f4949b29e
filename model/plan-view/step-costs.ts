/** Which step of a plan's servers costs most, and how that compares with past runs of the same runbook. */
import { medianOf } from '../estimate/quantile';
import type { ChildRun } from './child-run';

export interface StepCost {
  readonly step: string;
  /** Servers that did it. */
  readonly servers: number;
  /** Machine time of all of them together. */
  readonly totalMs: number;
  readonly medianMs: number;
  readonly longest: { readonly server: string; readonly ms: number };
  /** Median of the medians of past runs; null where there are none. */
  readonly pastMedianMs: number | null;
  readonly pastRuns: number;
}

/** The most expensive first; only steps that have ended count. `past`: the children of each past run, all of the same mode. */
export function stepCosts(children: readonly ChildRun[], past: readonly (readonly ChildRun[])[]): StepCost[] {
  const before = past.map((run) => byStep(run));
  return [...byStep(children)]
    .map(([step, times]): StepCost => {
      const medians = before.flatMap((run) => {
        const found = run.get(step);
        return found === undefined ? [] : [medianOf(found.map(({ ms }) => ms))];
      });
      return {
        step,
        servers: times.length,
        totalMs: times.reduce((sum, { ms }) => sum + ms, 0),
        medianMs: medianOf(times.map(({ ms }) => ms)),
        longest: times.reduce((a, b) => (a.ms >= b.ms ? a : b)),
        pastMedianMs: medians.length === 0 ? null : medianOf(medians),
        pastRuns: medians.length,
      };
    })
    .sort((a, b) => b.totalMs - a.totalMs);
}

/** What others or people take their time for. */
export const waitingSteps: ReadonlySet<string> = new Set(['commit', 'await-plan', 'try-out']);

function byStep(children: readonly ChildRun[]): Map<string, { server: string; ms: number }[]> {
  const steps = new Map<string, { server: string; ms: number }[]>();
  for (const { serverName, facts } of children) {
    if (!facts?.server) continue;
    for (const [step, { elapsedMs, since }] of Object.entries(facts.steps)) {
      if (since !== null || waitingSteps.has(step)) continue;
      const waited = facts.waits.reduce(
        (sum, wait) => sum + (wait.step === step && wait.until !== null ? spanMs(wait.since, wait.until) : 0),
        0,
      );
      const list = steps.get(step) ?? [];
      list.push({ server: serverName, ms: Math.max(0, elapsedMs - waited) });
      steps.set(step, list);
    }
  }
  return steps;
}

const spanMs = (from: string, to: string): number => Math.max(0, Date.parse(to) - Date.parse(from));

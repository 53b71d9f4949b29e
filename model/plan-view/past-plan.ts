/** One past run of a runbook, as a line of its trend. */
import { clocksWithin } from '../clocks';
import { millisecondsBetween } from '../durations';
import { objectivesAt } from '../objectives';
import type { Mode } from '../order';
import type { RunFacts } from '../run-facts';
import type { RunState } from '../steps';
import type { ChildRun } from './child-run';
import { waitsOf } from './server-of-plan';

export interface PastPlan {
  readonly runId: string;
  readonly mode: Mode;
  readonly version: number;
  readonly sha256: string;
  readonly state: RunState;
  readonly startedAt: string;
  readonly elapsedMs: number;
  readonly waitingMs: number;
  readonly servers: number;
  /** The worst of its servers that were proven; null: none was. */
  readonly rpoMs: number | null;
  /** From the button to the last server that was proven; null: none was. */
  readonly rtoMs: number | null;
}

export interface PastRow {
  readonly runId: string;
  readonly mode: Mode;
  readonly state: RunState;
  readonly startedAt: string;
  readonly closedAt: string | null;
  readonly runbookVersion: number | null;
  readonly runbookSha256: string | null;
  /** Of the plan's own record; null: it is of an earlier version. */
  readonly facts: RunFacts | null;
}

/** Of a run that is closed. */
export function pastPlan(row: PastRow, children: readonly ChildRun[]): PastPlan {
  const { runId, mode, state, startedAt, runbookVersion, runbookSha256 } = row;
  const closedAt = row.closedAt ?? startedAt;
  const latest = new Map(children.filter(({ facts }) => facts?.server).map((one) => [one.serverName, one]));
  const proven = [...latest.values()].flatMap(({ facts }) => {
    const objectives = facts!.server!.objectives;
    return objectives.proof === null || objectives.undoneBecause !== null ? [] : [objectives];
  });
  const rpos = proven.flatMap((one) => objectivesAt(one, closedAt).rpo.actualMs ?? []);
  const rtos = proven.map((one) => millisecondsBetween(one.requestedAt, one.proof!.provenAt));
  const whole = { from: Date.parse(startedAt), to: Date.parse(closedAt) };
  const { elapsedMs, waitingMs } = clocksWithin([whole], waitsOf([row, ...children], closedAt));
  return {
    ...{ runId, mode, state, startedAt, elapsedMs, waitingMs, servers: latest.size },
    version: runbookVersion ?? 0,
    sha256: runbookSha256 ?? '',
    rpoMs: rpos.length === 0 ? null : Math.max(...rpos),
    rtoMs: rtos.length === 0 ? null : Math.max(...rtos),
  };
}

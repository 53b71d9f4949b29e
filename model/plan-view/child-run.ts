/** A row of the list of runs, as a plan needs it of each run that belongs to it. */
import type { RunFacts } from '../run-facts';
import type { RunState } from '../steps';

export interface ChildRun {
  readonly runId: string;
  /** The plan or the included runbook's plan that started it. */
  readonly parentRunId: string;
  readonly procedure: string;
  readonly serverId: string;
  /** Of an included runbook: its name. */
  readonly serverName: string;
  readonly state: RunState;
  readonly currentStep: string | null;
  readonly stuckSince: string | null;
  readonly startedAt: string;
  readonly closedAt: string | null;
  /** null in rows of earlier versions. */
  readonly facts: RunFacts | null;
}

/** The API's answers as the CLI uses them. */
import type { ActDocument, RunsDocument } from '../api/schemas/runs';
import type { TimeLeft } from '../model/estimate/time-left';
import type { RunEvent } from '../model/events';
import type { PlanView } from '../model/plan-view/plan-view';
import type { RunView } from '../model/run-view';
import type { Progress } from '../model/steps';

interface AnyDetail {
  readonly runId: string;
  /** Of a plan: its runbook's name. */
  readonly serverName: string;
  readonly source: 'live' | 'journal';
  readonly notice: string | null;
  /** null: the run is closed. */
  readonly timeLeft: TimeLeft | null;
  readonly progress: readonly ActivityProgress[];
  readonly acts: readonly ActDocument[];
}

export interface ServerDetail extends AnyDetail {
  readonly kind: 'server';
  readonly view: RunView;
}

export interface PlanDetail extends AnyDetail {
  readonly kind: 'plan';
  readonly view: PlanView;
}

export type RunDetail = ServerDetail | PlanDetail;

export interface ActivityProgress {
  readonly activity: string;
  readonly activityId: string;
  readonly progress: Progress;
  readonly at: string | null;
}

export type NumberedEvent = RunEvent & { readonly sequence: number };
export type { ActDocument, RunsDocument };

/** The API's answers as the CLI uses them. */
import type { ActDocument, RunsDocument } from '../api/schemas/runs';
import type { RunEvent } from '../model/events';
import type { RunView } from '../model/run-view';
import type { Progress } from '../model/steps';

export interface RunDetail {
  readonly runId: string;
  readonly serverName: string;
  readonly source: 'live' | 'journal';
  readonly notice: string | null;
  readonly view: RunView;
  readonly progress: readonly ActivityProgress[];
  readonly acts: readonly ActDocument[];
}

export interface ActivityProgress {
  readonly activity: string;
  readonly activityId: string;
  readonly progress: Progress;
  readonly at: string | null;
}

export type NumberedEvent = RunEvent & { readonly sequence: number };
export type { ActDocument, RunsDocument };

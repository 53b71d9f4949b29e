/** What a running recovery says of itself, and what its long activities are busy with. */
import type { WorkflowExecutionDescription } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import type { Progress } from '../../model/steps';
import { liveRunQuery, type LiveRun } from '../../workflows/messages';
import type { TemporalContext } from '../temporal';
import { callTemporal } from './errors';
import { failureOf, type TaskFailure } from './failing';
import { answered } from './queries';
import type { Execution } from './recoveries';
import { toTime } from './times';

/** One pending activity of a run that reports progress by heartbeat. */
export interface ActivityProgress {
  readonly activity: string;
  readonly activityId: string;
  readonly progress: Progress;
  /** When the heartbeat reached Temporal. */
  readonly at: string | null;
}

/** What of a run no worker has begun, and on which queue. */
export interface Waiting {
  readonly kind: 'workflow' | 'activity';
  readonly queue: string;
  /** Since when it stands there, by Temporal's clock. */
  readonly since: string;
}

export interface RunProgress {
  /** False once the execution has closed. */
  readonly running: boolean;
  /** From the heartbeats of pending activities. */
  readonly activities: ActivityProgress[];
  readonly waiting: Waiting[];
  /** Every worker fails its next task; null: none has, or it may still go well. */
  readonly failing: TaskFailure | null;
}

/** Of one task: a worker that is killed or restarted within costs one each time. */
const attemptsUntilFailing = 3;

export interface LiveCalls {
  /** The workflow's own answer; undefined when no worker gave one in time or Temporal no longer has it. */
  live(execution: Execution): Promise<LiveRun | undefined>;
  /** What it is busy with, and what it waits for, as Temporal has it. */
  progress(execution: Execution): Promise<RunProgress>;
}

export function liveCalls(context: TemporalContext): LiveCalls {
  const handleOf = (execution: Execution) =>
    context.client.workflow.getHandle(execution.workflowId, execution.temporalRunId);
  return {
    live(execution) {
      return wholeRun((from) => answered(context, () => handleOf(execution).query(liveRunQuery, { from })));
    },
    async progress(execution) {
      const description = await callTemporal(context, () => handleOf(execution).describe());
      const pending = description.raw.pendingActivities ?? [];
      const attempt = description.raw.pendingWorkflowTask?.attempt ?? 0;
      const isFailing = attempt > attemptsUntilFailing;
      return {
        failing: isFailing ? await callTemporal(context, () => failureOf(context, execution)) : null,
        running: description.status.name === 'RUNNING',
        waiting: waitingOf(description.raw),
        activities: pending.flatMap((activity) => {
          const payload = activity.heartbeatDetails?.payloads?.[0];
          const progress = payload ? toProgress(decode(payload)) : undefined;
          if (!progress) return [];
          return [
            {
              activity: activity.activityType?.name ?? '',
              activityId: activity.activityId ?? '',
              progress,
              at: toTime(activity.lastHeartbeatTime),
            },
          ];
        }),
      };
    },
  };
}

/** temporal.api.enums.v1: PendingActivityState and PendingWorkflowTaskState have the same number for it. */
const scheduled = 1;

type Raw = Pick<WorkflowExecutionDescription['raw'], 'pendingActivities' | 'pendingWorkflowTask' | 'executionConfig'>;

function waitingOf({ pendingActivities, pendingWorkflowTask, executionConfig }: Raw): Waiting[] {
  const activities = (pendingActivities ?? []).filter(({ state }) => state === scheduled);
  const found = activities.map(({ activityOptions, scheduledTime }) => ({
    kind: 'activity' as const,
    queue: activityOptions?.taskQueue?.name,
    since: toTime(scheduledTime),
  }));
  const task = pendingWorkflowTask?.state === scheduled ? pendingWorkflowTask : undefined;
  const since = toTime(task?.originalScheduledTime ?? task?.scheduledTime);
  const all = [...found, { kind: 'workflow' as const, queue: executionConfig?.taskQueue?.name, since }];
  return all.flatMap(({ kind, queue, since: at }) => (queue && at !== null ? [{ kind, queue, since: at }] : []));
}

/** All pages together, or none; state and parkings as the last page has them, because events are only ever added. */
export async function wholeRun(ask: (from: number) => Promise<LiveRun | undefined>): Promise<LiveRun | undefined> {
  let page = await ask(0);
  const events = [...(page?.events ?? [])];
  while (typeof page?.next === 'number' && page.events.length > 0) {
    page = await ask(page.next);
    events.push(...(page?.events ?? []));
  }
  if (page === undefined) return undefined;
  return { ...page, events, next: null };
}

type Payload = Parameters<typeof defaultPayloadConverter.fromPayload>[0];

/** undefined for what another converter wrote. */
function decode(payload: Payload): unknown {
  try {
    return defaultPayloadConverter.fromPayload(payload);
  } catch {
    return undefined;
  }
}

/** Heartbeats are `Progress`, or an object that holds one beside a checkpoint. */
export function toProgress(details: unknown): Progress | undefined {
  if (typeof details !== 'object' || details === null) return undefined;
  const value = 'progress' in details ? details.progress : details;
  if (typeof value !== 'object' || value === null || !('label' in value) || !('done' in value)) return undefined;
  const { label, done } = value;
  if (typeof label !== 'string' || typeof done !== 'number') return undefined;
  const number = (key: string): number | null => {
    const found = (value as Record<string, unknown>)[key];
    return typeof found === 'number' && Number.isFinite(found) ? found : null;
  };
  const unit = 'unit' in value && (value.unit === 'bytes' || value.unit === 'percent') ? value.unit : 'items';
  return {
    label,
    done,
    total: number('total'),
    unit,
    ratePerSecond: number('ratePerSecond'),
    timeLeftMs: number('timeLeftMs'),
  };
}

/** What a running recovery says of itself, and what its long activities are busy with. */
import { defaultPayloadConverter } from '@temporalio/common';
import type { Progress } from '../../model/steps';
import { liveRunQuery, type LiveRun } from '../../workflows/messages';
import type { TemporalContext } from '../temporal';
import { asProblem, callTemporal, isNotFound, isUnanswered } from './errors';
import type { Execution } from './recoveries';

/** One pending activity of a run that reports progress by heartbeat. */
export interface ActivityProgress {
  readonly activity: string;
  readonly activityId: string;
  readonly progress: Progress;
  /** When the heartbeat reached Temporal. */
  readonly at: string | null;
}

export interface LiveCalls {
  /** The workflow's own answer; undefined when no worker gave one in time or Temporal no longer has it. */
  live(execution: Execution): Promise<LiveRun | undefined>;
  /** From the heartbeats of pending activities; `running` is false once the execution has closed. */
  progress(execution: Execution): Promise<{ running: boolean; activities: ActivityProgress[] }>;
}

export function liveCalls(context: TemporalContext): LiveCalls {
  const handleOf = (execution: Execution) =>
    context.client.workflow.getHandle(execution.workflowId, execution.temporalRunId);
  return {
    async live(execution) {
      try {
        return await wholeRun((from) =>
          context.client.withDeadline(Date.now() + context.queryDeadlineMs, () =>
            handleOf(execution).query(liveRunQuery, { from }),
          ),
        );
      } catch (error) {
        if (isUnanswered(error) || isNotFound(error)) return undefined;
        throw asProblem(error);
      }
    },
    async progress(execution) {
      const description = await callTemporal(context, () => handleOf(execution).describe());
      const pending = description.raw.pendingActivities ?? [];
      return {
        running: description.status.name === 'RUNNING',
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

/** All pages together; state and parkings as the last page has them, because events are only ever added. */
export async function wholeRun(ask: (from: number) => Promise<LiveRun>): Promise<LiveRun> {
  let page = await ask(0);
  const events = [...page.events];
  while (typeof page.next === 'number' && page.events.length > 0) {
    page = await ask(page.next);
    events.push(...page.events);
  }
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

function toTime(
  stamp: { seconds?: { toString(): string } | number | null; nanos?: number | null } | null | undefined,
): string | null {
  if (!stamp?.seconds) return null;
  return new Date(Number(stamp.seconds.toString()) * 1000 + Math.floor((stamp.nanos ?? 0) / 1e6)).toISOString();
}

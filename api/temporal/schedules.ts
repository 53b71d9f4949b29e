/** Schedules of rehearsals, in Temporal: made, changed and removed, and acted on by people. */
import { ScheduleAlreadyRunning, ScheduleNotFoundError, ScheduleOverlapPolicy } from '@temporalio/client';
import type { ScheduleDescription, ScheduleUpdateOptions } from '@temporalio/client';
import type { Schedule } from '../../model/runbook/runbook';
import {
  askedWorkflowId,
  scheduledWorkflowId,
  scheduledWorkflowType,
  scheduleId,
  scheduleSpec,
  type AskedRehearsal,
  type ScheduledOutcome,
  type ScheduledRehearsal,
} from '../../model/scheduled-rehearsal';
import { workflowQueue } from '../../workflows/messages';
import type { TemporalContext } from '../temporal';
import { callTemporal } from './errors';
import { described, isOpen, startOnce } from './executions';

export interface ScheduleSeen {
  readonly runbook: string;
  readonly paused: boolean;
  /** Why it is paused; what the person said. */
  readonly note: string | null;
  readonly next: readonly string[];
  readonly missed: number;
  /** By its time, or by a person. */
  readonly last: (ScheduledOutcome & { readonly at: string }) | null;
}

/** One start of it. */
interface Decision {
  readonly at: Date;
  readonly workflowId: string;
  readonly firstExecutionRunId: string;
}

export interface ScheduleCalls {
  /** Made, or changed to this; paused it stays paused. @throws what Temporal says of a schedule that it cannot read. */
  saveSchedule(of: ScheduledRehearsal, schedule: Schedule): Promise<void>;
  /** Absent: already so. */
  removeSchedule(tenantId: string, runbook: string): Promise<void>;
  /** Runbooks that have one. */
  scheduledRunbooks(tenantId: string): Promise<string[]>;
  viewSchedule(tenantId: string, runbook: string): Promise<ScheduleSeen | undefined>;
  /** undefined: there is none. */
  actOnSchedule(tenantId: string, runbook: string, act: 'pause' | 'resume', note: string): Promise<true | undefined>;
  /** Lets it be decided now. false: one whose time has come, or that somebody asked for, is being decided. */
  rehearseNow(of: ScheduledRehearsal & { readonly asked: AskedRehearsal }): Promise<boolean>;
}

export function scheduleCalls(context: TemporalContext): ScheduleCalls {
  const { client } = context;
  const handleOf = (tenantId: string, runbook: string) => client.schedule.getHandle(scheduleId(tenantId, runbook));
  const known = async <T>(call: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await callTemporal(context, call);
    } catch (error) {
      if (error instanceof ScheduleNotFoundError) return undefined;
      throw error;
    }
  };
  return {
    async saveSchedule(of, schedule) {
      const wanted = optionsOf(of, schedule);
      const id = scheduleId(of.tenantId, of.runbook);
      try {
        await callTemporal(context, () => client.schedule.create({ scheduleId: id, ...wanted }));
      } catch (error) {
        if (!(error instanceof ScheduleAlreadyRunning)) throw error;
        const handle = client.schedule.getHandle(id);
        await callTemporal(context, () => handle.update(({ state }) => ({ ...wanted, state })));
      }
    },

    removeSchedule: async (tenantId, runbook) => void (await known(() => handleOf(tenantId, runbook).delete())),

    scheduledRunbooks: (tenantId) =>
      callTemporal(context, async () => {
        const prefix = scheduleId(tenantId, '');
        const found: string[] = [];
        for await (const one of client.schedule.list()) {
          if (one.scheduleId.startsWith(prefix)) found.push(one.scheduleId.slice(prefix.length));
        }
        return found;
      }),

    async viewSchedule(tenantId, runbook) {
      const seen = await known(() => handleOf(tenantId, runbook).describe());
      if (seen === undefined) return undefined;
      const { paused, note } = seen.state;
      const { nextActionTimes, numActionsMissedCatchupWindow: missed } = seen.info;
      const last = latestOf(byItself(seen), await askedFor(context, tenantId, runbook));
      const outcome = last && (await outcomeOf(context, last));
      return {
        ...{ runbook, paused, missed, note: note ?? null },
        next: nextActionTimes.slice(0, 3).map((at) => at.toISOString()),
        last: last === undefined ? null : { at: last.at.toISOString(), ...(outcome ?? nothingYet) },
      };
    },

    actOnSchedule: (tenantId, runbook, act, note) =>
      known(async () => {
        const handle = handleOf(tenantId, runbook);
        if (act === 'pause') await handle.pause(note);
        else await handle.unpause(note);
        return true as const;
      }),

    async rehearseNow(of) {
      const seen = await known(() => handleOf(of.tenantId, of.runbook).describe());
      const last = seen && byItself(seen);
      const decided = last && (await described(context, last.workflowId, last.firstExecutionRunId));
      if (decided !== undefined && isOpen(decided)) return false;
      const workflowId = askedWorkflowId(of.tenantId, of.runbook);
      const started = await startOnce(context, scheduledWorkflowType, { workflowId, args: [of] });
      return started !== undefined;
    },
  };
}

const nothingYet: ScheduledOutcome = { runId: null, skipped: null };

function byItself({ info }: ScheduleDescription): Decision | undefined {
  const [last] = info.recentActions.slice(-1);
  return last && { at: last.takenAt, ...last.action.workflow };
}

async function askedFor(context: TemporalContext, tenantId: string, runbook: string): Promise<Decision | undefined> {
  const workflowId = askedWorkflowId(tenantId, runbook);
  const found = await described(context, workflowId);
  return found && { at: found.startTime, workflowId, firstExecutionRunId: found.runId };
}

const latestOf = (one: Decision | undefined, other: Decision | undefined): Decision | undefined =>
  one === undefined || (other !== undefined && other.at > one.at) ? other : one;

/** undefined: it is still deciding, or its history is gone. */
async function outcomeOf(
  { client, queryDeadlineMs }: TemporalContext,
  { workflowId, firstExecutionRunId }: Decision,
): Promise<ScheduledOutcome | undefined> {
  const handle = client.workflow.getHandle(workflowId, firstExecutionRunId);
  return client
    .withDeadline(Date.now() + queryDeadlineMs, () => handle.result() as Promise<ScheduledOutcome>)
    .catch(() => undefined);
}

/** catchupWindow: Temporal's own default is a year, and would make up for all that an outage missed. */
function optionsOf(
  of: ScheduledRehearsal,
  schedule: Schedule,
): Omit<ScheduleUpdateOptions, 'state' | 'action'> & {
  action: Extract<ScheduleUpdateOptions['action'], { type: 'startWorkflow' }>;
} {
  return {
    spec: scheduleSpec(schedule),
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: schedule.catchUpMs },
    action: {
      type: 'startWorkflow',
      workflowType: scheduledWorkflowType,
      workflowId: scheduledWorkflowId(of.tenantId, of.runbook),
      taskQueue: workflowQueue,
      args: [of],
    },
  };
}

/**
 * Runs that no worker can go on with: each fails their next task, or does not come to its end, and Temporal gives it out again
 * without end. Such a run waits for nobody and stands in no list of what is stuck; Temporal alone knows.
 *
 * Sources: system search attribute TemporalReportedProblems, which server 1.31 sets after five failures one after the other and takes
 * away with the first success (common/dynamicconfig/constants.go); a failed task is in the history once, before it is tried again.
 */
import type { TemporalContext } from '../temporal';
import { callTemporal, isNotTaken } from './errors';
import { listOfTenant, type Execution } from './recoveries';
import { toTime, type Stamp } from './times';

export interface TaskFailure {
  /** When the first of these failures was, by Temporal's clock. */
  readonly since: string;
  /** What the worker said; of a task that did not come to its end, so. */
  readonly cause: string;
}

export interface FailingRun extends TaskFailure {
  readonly execution: Execution;
}

export interface FailingCalls {
  /** At most `most`, the newest first; none where Temporal is too old to tell. */
  failingRuns(tenantId: string, most: number): Promise<FailingRun[]>;
}

const reported = ['WorkflowTaskFailed', 'WorkflowTaskTimedOut'].map((one) => `'category=${one}'`);
const query = `ExecutionStatus = 'Running' AND TemporalReportedProblems IN (${reported.join(', ')})`;

export function failingCalls(context: TemporalContext): FailingCalls {
  return {
    async failingRuns(tenantId, most) {
      const executions = await callTemporal(context, () => listOfTenant(context, tenantId, query, most)).catch(
        (error: unknown) => {
          if (isNotTaken(error)) return [];
          throw error;
        },
      );
      const failing = executions.map(async (execution): Promise<FailingRun[]> => {
        const failure = await callTemporal(context, () => failureOf(context, execution));
        return failure === null ? [] : [{ execution, ...failure }];
      });
      return (await Promise.all(failing)).flat();
    },
  };
}

/** Signals and results of activities may have come after it. */
const eventsLooked = 200;
const longestCause = 300;

/** What its worker said last; null: it has gone on since. Call within a deadline. */
export async function failureOf(
  { client }: Pick<TemporalContext, 'client'>,
  { workflowId, temporalRunId, startedAt }: Execution,
): Promise<TaskFailure | null> {
  const { history } = await client.workflowService.getWorkflowExecutionHistoryReverse({
    namespace: client.options.namespace,
    execution: { workflowId, runId: temporalRunId },
    maximumPageSize: eventsLooked,
  });
  for (const event of (history?.events ?? []) as readonly TaskEvent[]) {
    if (event.workflowTaskCompletedEventAttributes) return null;
    const cause = causeOf(event);
    const since = toTime(event.eventTime);
    if (cause !== null && since !== null) return { since, cause: cause.slice(0, longestCause) };
  }
  return { since: startedAt, cause: `the newest ${eventsLooked} events of its history do not say why` };
}

/** temporal.api.history.v1.HistoryEvent, as far as it is read. */
interface TaskEvent {
  readonly eventTime?: Stamp | null;
  readonly workflowTaskCompletedEventAttributes?: object | null;
  readonly workflowTaskTimedOutEventAttributes?: object | null;
  readonly workflowTaskFailedEventAttributes?: {
    readonly failure?: { readonly message?: string | null } | null;
  } | null;
}

function causeOf(event: TaskEvent): string | null {
  if (event.workflowTaskTimedOutEventAttributes) return 'no worker came to the end of its task in time';
  const failed = event.workflowTaskFailedEventAttributes;
  return failed ? failed.failure?.message || 'its task failed' : null;
}

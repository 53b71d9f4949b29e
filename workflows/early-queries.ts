/**
 * Refuses a query that would carry its run on before its time.
 *
 * A query waits at Temporal until a worker takes it. If something happens to the run meanwhile, its history ends with events of a
 * task that has not started, and for the query's sake the SDK lets the workflow act on them, by the clock of the task before (core
 * of 1.24: history_update.rs, `find_end_index_of_next_wft_seq`). What it did is sent with that task; a replay does it at the task's
 * own time and in its order, may come to something else, and then the run is stuck for good at the next change of workers.
 *
 * Refused, the run leaves the worker's cache, and its task, which waits already, is done as if nobody had asked. Who asked is told
 * so, and asks again (api/temporal/live.ts).
 */
import type { WorkflowInterceptors } from '@temporalio/workflow';
import { askedTooEarly } from './messages';

export const interceptors = (): WorkflowInterceptors => {
  let last: Moment | undefined;
  return {
    internals: [
      {
        activate(input, next) {
          const { activation } = input;
          // The query itself comes alone; of a run that is over it stands behind the last task rightly.
          if (activation.jobs?.every((job) => job.queryWorkflow != null)) return next(input);
          const moment = momentOf(activation);
          if (last !== undefined && isBeforeItsTime(last, moment)) throw new Error(askedTooEarly);
          last = moment;
          next(input);
        },
      },
    ],
  };
};

/** Of an activation: how many events the workflow has been told of, and what the start of its task says of time and size. */
interface Moment {
  readonly events: number;
  readonly startedAt: string;
  readonly bytes: string;
}

/**
 * More events, and no task that brought them. Both are looked at: Temporal's clock may have been set back, which the SDK shows as
 * standing still; and two tasks in a row may have been measured at one size.
 */
function isBeforeItsTime(last: Moment, { events, startedAt, bytes }: Moment): boolean {
  return events > last.events && startedAt === last.startedAt && bytes === last.bytes;
}

type Activation = Parameters<NonNullable<Internals['activate']>>[0]['activation'];
type Internals = NonNullable<WorkflowInterceptors['internals']>[number];

function momentOf({ historyLength, historySizeBytes, timestamp }: Activation): Moment {
  return {
    events: historyLength ?? 0,
    startedAt: `${String(timestamp?.seconds)}.${String(timestamp?.nanos)}`,
    bytes: String(historySizeBytes),
  };
}

/**
 * A run as it happens: events from the journal, numbered as there, so that a client can go on after the last one it saw;
 * between them what long activities are busy with. While Postgres is away the running workflow itself is asked.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunEvent } from '../../model/events';
import { eventOfRow } from '../../record/row';
import type { ApiDeps } from '../deps';
import type { Execution } from '../temporal/recoveries';
import type { ActivityProgress, RunProgress } from '../temporal/live';
import { within } from '../within';
import type { SiteWatch } from '../site-watch';
import type { RunReading } from './read';
import { sitesBelow, standstillOf } from './workers';

export type StreamMessage =
  | { readonly type: 'event'; readonly sequence: number; readonly event: RunEvent }
  | { readonly type: 'progress'; readonly activities: readonly ActivityProgress[] }
  /** null: what was said before no longer holds. */
  | { readonly type: 'notice'; readonly notice: string | null }
  /** `complete` is false when Temporal ended the run without a closing event: outside Muster. */
  | { readonly type: 'end'; readonly complete: boolean };

type Deps = Pick<ApiDeps, 'store' | 'temporal' | 'config' | 'clock' | 'log'>;

const pageRows = 500;
/** Looks without news after Temporal closed the run, before its end is taken as final: the journal may lag a second. */
const quietLooks = 10;

interface Followed {
  /** The run as it was when the stream began. */
  readonly reading: RunReading;
  readonly sites: Pick<SiteWatch, 'standstill'>;
  /** Number of the last event that the reader has. */
  readonly after: number;
}

export async function* streamRun(
  deps: Deps,
  { reading, sites, after }: Followed,
  signal: AbortSignal,
): AsyncGenerator<StreamMessage> {
  const { runId, execution } = reading;
  let last = after;
  let quiet = 0;
  let shown = '[]';
  let told: string | null = null;
  while (!signal.aborted) {
    const events = await newEvents(deps, runId, execution, last);
    for (const event of events) {
      last++;
      yield { type: 'event', sequence: last, event };
      if (event.kind === 'run-closed') return yield { type: 'end', complete: true };
    }
    if (events.length === pageRows) continue;
    const now = await progressNow(deps, execution);
    const activities = JSON.stringify(now.activities);
    if (activities !== shown) {
      shown = activities;
      yield { type: 'progress', activities: now.activities };
    }
    const notice = await standstillOf(deps, sites, sitesBelow(reading), now);
    if (notice !== told) yield { type: 'notice', notice: (told = notice) };
    quiet = now.running || events.length > 0 ? 0 : quiet + 1;
    if (quiet > quietLooks) return yield { type: 'end', complete: false };
    await sleep(deps.config.streamEveryMs, undefined, { signal }).catch(() => undefined);
  }
}

/** The runner alone appends to a run's chain, so the n-th event of the workflow is row n. */
async function newEvents(
  { store, temporal, config, log }: Deps,
  runId: string,
  execution: Execution | undefined,
  after: number,
): Promise<RunEvent[]> {
  try {
    const rows = await within(config.storeDeadlineMs, store.journal.rows(runId, after, pageRows));
    return rows.map(eventOfRow);
  } catch (error) {
    log.warn({ err: error, runId }, 'Postgres did not answer; the running workflow is asked for its events');
    const live = execution && (await temporal.live(execution).catch(() => undefined));
    return live?.events.slice(after) ?? [];
  }
}

async function progressNow({ temporal }: Deps, execution: Execution | undefined): Promise<RunProgress> {
  if (!execution) return { running: false, activities: [], waiting: [], failing: null };
  // Temporal away is no end: the stream goes on when it is back.
  return temporal.progress(execution).catch(() => ({ running: true, activities: [], waiting: [], failing: null }));
}

/** Past runs of a server, for the report of one. */
import type { PastTimes } from '../../model/estimate/past';
import type { RunView } from '../../model/run-view';
import type { ApiDeps } from '../deps';
import { within } from '../within';

/** Newest first, only those that went well. null while Postgres is away: a report without them is better than none. */
export async function pastOf(
  { store, config, log }: Pick<ApiDeps, 'store' | 'config' | 'log'>,
  { runId, order: { procedure, server } }: Pick<RunView, 'runId' | 'order'>,
): Promise<readonly PastTimes[] | null> {
  try {
    return await within(config.storeDeadlineMs, store.times.past({ procedure, serverIds: [server.id], siteIds: [] }));
  } catch (error) {
    log.warn({ err: error, runId }, 'Past runs of the server could not be read');
    return null;
  }
}

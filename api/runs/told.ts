/** Who was told of a run: read from the outbox, because a run's own chain is the workflow's alone. */
import type { Told } from '../../model/told';
import type { ApiDeps } from '../deps';
import { within } from '../within';

/** Oldest first. null while Postgres is away: a report without it is better than none. */
export async function toldOf(
  { store, config, log }: Pick<ApiDeps, 'store' | 'config' | 'log'>,
  runId: string,
): Promise<readonly Told[] | null> {
  try {
    return await within(config.storeDeadlineMs, store.notifications.ofRun(runId));
  } catch (error) {
    log.warn({ err: error, runId }, 'Who was told of a run could not be read');
    return null;
  }
}

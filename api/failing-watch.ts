/**
 * Looks again and again for runs that no worker can go on with, which only Temporal knows of: for the list of what is stuck, and to
 * have people told. Several processes may look; the same notice is kept once.
 */
import type { Places } from '../model/access';
import { failingKey, failingNotice, failingRunsWords } from '../model/notify/failing-notice';
import type { ApiDeps } from './deps';
import type { FailingRun } from './temporal/failing';
import { within } from './within';

export interface FailingWatch {
  /** Asks Temporal, and remembers. Never throws: what does not answer leaves what was known. */
  look(): Promise<void>;
  /** What a reader who may see these is told; null: each goes on, or can. As of the last look. */
  words(maySee: (run: Places) => boolean): string | null;
}

type Deps = Pick<ApiDeps, 'temporal' | 'store' | 'config' | 'log'>;

/** Looked at and told of; more than these have one cause. */
const mostFailing = 50;

/** Seen by nobody whose tokens are for certain places. */
const nowhere: Places = { sites: [], runbooks: [] };

export function createFailingWatch({ temporal, store, config, log }: Deps): FailingWatch {
  let known: (FailingRun & { readonly places: Places })[] = [];
  /** Those that are kept need not be put again each time. */
  let told = new Set<string>();

  const placesOf = async (runId: string): Promise<Places> => {
    const before = known.find(({ execution }) => execution.memo.runId === runId);
    if (before !== undefined && before.places !== nowhere) return before.places;
    return (await within(config.storeDeadlineMs, store.runs.places(runId)).catch(() => undefined)) ?? nowhere;
  };

  const tell = async ({ execution: { memo }, ...failing }: FailingRun): Promise<string | null> => {
    const key = failingKey(memo.runId, failing);
    if (told.has(key)) return key;
    const row = await store.runs.get(memo.runId);
    // Its first event has not come in yet.
    if (row === undefined) return null;
    const { runId, parentRunId, procedure, mode, serverName: name } = row;
    await store.notifications.put(failingNotice({ runId, parentRunId, procedure, mode, name }, failing));
    return key;
  };

  const lookOnce = async (): Promise<void> => {
    try {
      const found = await temporal.failingRuns(config.tenantId, mostFailing);
      known = await Promise.all(
        found.map(async (one) => ({ ...one, places: await placesOf(one.execution.memo.runId) })),
      );
      const keys = await Promise.all(found.map((one) => within(config.storeDeadlineMs, tell(one))));
      told = new Set(keys.filter((key) => key !== null));
    } catch (error) {
      log.warn({ err: error }, 'Runs that no worker can go on with are not looked for');
    }
  };
  let looking: Promise<void> | undefined;
  return {
    look: () => (looking ??= lookOnce().finally(() => (looking = undefined))),
    words: (maySee) => {
      const seen = known.filter(({ places }) => maySee(places));
      const runs = seen.map(({ execution: { memo }, since, cause }) => ({
        ...{ runId: memo.runId, name: memo.serverName, since, cause },
      }));
      return runs.length === 0 ? null : failingRunsWords(runs);
    },
  };
}

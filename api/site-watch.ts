/**
 * Who works at each site, and since when nobody does. Temporal keeps runs of a site without a worker in a queue without a word;
 * this says it: to whoever asks, and to the people who are told of risks.
 *
 * A poll's time is by Temporal's clock. Beside this host's it says nothing when one of them is set, so silence is the time in which
 * no other poll was seen, by a clock that nobody sets.
 */
import { noWorkerWords, standstillWords } from '../model/notify/site-notice';
import { replicationQueue, siteQueue } from '../workflows/messages';
import type { ApiDeps } from './deps';
import { pollerSeenWithinMs } from './health';
import type { HealthDocument } from './schemas/health';
import { within } from './within';

export interface SiteWatch {
  /** Asks Temporal, and remembers. Never throws: what does not answer leaves what was known. */
  look(): Promise<void>;
  /** By site: since when it has no worker; null: it has one. As of the last look. */
  absences(): ReadonlyMap<string, string | null>;
  /** What a reader is told where runs of these sites are shown; null: each has a worker. As of the last look. */
  standstill(siteIds: readonly string[]): string | null;
  /** A part for each site. */
  parts(): HealthDocument['parts'];
  /** The same gateway, which knows of a site's last poll what Temporal has forgotten. */
  remembering(deps: ApiDeps): ApiDeps;
}

type Deps = Pick<ApiDeps, 'temporal' | 'store' | 'config' | 'clock' | 'elapsedMs' | 'log'>;

export function createSiteWatch(deps: Deps): SiteWatch {
  const { temporal, store, config, clock, log, elapsedMs = () => performance.now() } = deps;
  const known = new Map<string, { readonly lastPollAt: string; readonly absentSince: string | null }>();

  const heard = new Map<string, { readonly lastPollAt: string | null; readonly atMs: number }>();

  const isSilent = (siteId: string, lastPollAt: string | null): boolean => {
    const before = heard.get(siteId);
    if (before !== undefined && (lastPollAt === null || lastPollAt === before.lastPollAt)) {
      return elapsedMs() - before.atMs > pollerSeenWithinMs;
    }
    heard.set(siteId, { lastPollAt, atMs: elapsedMs() });
    return false;
  };

  const lookAt = async (siteId: string): Promise<void> => {
    const queues = [siteQueue(siteId), replicationQueue(siteId)];
    const asked = Promise.all(queues.map((queue) => temporal.lastPoll(queue, 'activity')));
    const polls = await asked.catch((error: unknown) => {
      // Nobody could poll a Temporal that is away: their silence counts from when it is back.
      heard.delete(siteId);
      throw error;
    });
    const lastPollAt = latest(polls);
    const silent = isSilent(siteId, lastPollAt);
    try {
      known.set(siteId, await within(config.storeDeadlineMs, store.sites.saw(siteId, lastPollAt, silent)));
    } catch (error) {
      log.warn({ err: error, siteId }, 'Postgres did not keep who works at a site; it is told when it is back');
      known.set(siteId, withoutStore(known.get(siteId), lastPollAt, silent, clock()));
    }
  };
  /** Whoever asks meanwhile gets the same answer: a door that is open to everybody asks, too. */
  let looking: Promise<void> | undefined;
  const lookAtAll = async (): Promise<void> => {
    const looks = config.siteIds.map((siteId) =>
      lookAt(siteId).catch((error: unknown) => log.warn({ err: error, siteId }, 'Temporal did not say who polls')),
    );
    await Promise.all(looks);
  };
  const absences = () => new Map(config.siteIds.map((id) => [id, known.get(id)?.absentSince ?? null]));
  return {
    absences,
    standstill: (siteIds) => {
      const words = siteIds.flatMap((id) => {
        const since = known.get(id)?.absentSince;
        return since == null ? [] : [standstillWords(id, since)];
      });
      return words.length === 0 ? null : words.join(' ');
    },
    look: () => (looking ??= lookAtAll().finally(() => (looking = undefined))),
    parts: () =>
      [...absences()].map(([id, since]) => ({
        name: `site ${id}`,
        ok: since === null,
        detail: since === null ? 'has a worker' : noWorkerWords(id, since),
      })),
    remembering: (all) => ({
      ...all,
      temporal: {
        ...all.temporal,
        lastPoll: async (queue, kind) => {
          const site = config.siteIds.find((id) => siteQueue(id) === queue);
          const remembered = site === undefined ? undefined : known.get(site)?.lastPollAt;
          return (await all.temporal.lastPoll(queue, kind)) ?? remembered ?? null;
        },
      },
    }),
  };
}

const latest = (times: readonly (string | null)[]): string | null =>
  times
    .filter((at) => at !== null)
    .sort()
    .at(-1) ?? null;

/** What can be said from memory alone. */
function withoutStore(
  before: { readonly lastPollAt: string; readonly absentSince: string | null } | undefined,
  polled: string | null,
  isSilent: boolean,
  now: Date,
) {
  const lastPollAt = polled ?? before?.lastPollAt ?? now.toISOString();
  const absent = isSilent || (before?.absentSince != null && lastPollAt === before.lastPollAt);
  return { lastPollAt, absentSince: absent ? (before?.absentSince ?? lastPollAt) : null };
}

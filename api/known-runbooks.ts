/**
 * Imported runbooks, remembered in memory as servers are (known-servers.ts), so that one that includes others can be started from
 * its text while Postgres is down (design: law 5). Postgres is asked first; what it last said is used only when it does not answer.
 */
import type { ReadyRunbook } from '../model/orders/build-plan';
import type { StoredRunbook } from '../store/contract';
import type { ApiDeps } from './deps';
import type { KnownServers } from './known-servers';
import { Problem } from './problems';
import { readIncluded } from './runbooks/stored';
import { within } from './within';

export interface Known {
  readonly servers: KnownServers;
  readonly runbooks: KnownRunbooks;
}

export interface IncludedRunbooks {
  /** Those of the names and all that they include, in their newest versions; what is not imported is left out. */
  readonly ready: ReadonlyMap<string, ReadyRunbook>;
  /** When Postgres was last asked for the oldest of them; null: just now. */
  readonly lastReadAt: string | null;
}

export interface KnownRunbooks {
  /** @throws Problem `part-unavailable` when Postgres is down and one of them not remembered; else as readIncluded. */
  included(names: readonly string[]): Promise<IncludedRunbooks>;
  /** Reads what is new, so that it is remembered; a failure is logged only. */
  refresh(): Promise<void>;
}

interface Remembered {
  readonly stored: StoredRunbook;
  /** When it was last known to be the newest. */
  readonly readAt: string;
}

/** Texts beyond this are not kept: five hundred runbooks of forty servers each take a fifth of it. */
const mostCharacters = 50_000_000;

export function knownRunbooks({
  store,
  config,
  clock,
  log,
}: Pick<ApiDeps, 'store' | 'config' | 'clock' | 'log'>): KnownRunbooks {
  const byName = new Map<string, Remembered>();

  const keep = (stored: StoredRunbook): void => {
    byName.delete(stored.name);
    const characters = [...byName.values()].reduce((sum, one) => sum + one.stored.text.length, stored.text.length);
    if (characters <= mostCharacters) byName.set(stored.name, { stored, readAt: clock().toISOString() });
    else log.warn({ runbook: stored.name }, 'Too many texts to remember this one: it needs Postgres to be included');
  };

  const finding = {
    async find(name: string): Promise<StoredRunbook | undefined> {
      const stored = await store.runbooks.find(name);
      if (stored === undefined) byName.delete(name);
      else keep(stored);
      return stored;
    },
  };

  async function remembered(names: readonly string[], cause: unknown): Promise<IncludedRunbooks> {
    const used: Remembered[] = [];
    const ready = await readIncluded(
      {
        find: (name) => {
          const one = byName.get(name);
          if (one === undefined) throw notReadBefore(name, cause);
          used.push(one);
          return Promise.resolve(one.stored);
        },
      },
      names,
    );
    const lastReadAt = used.map(({ readAt }) => readAt).sort()[0] ?? null;
    log.warn({ err: cause, runbooks: [...ready.keys()], lastReadAt }, 'Included runbooks are taken as last read');
    return { ready, lastReadAt };
  }

  return {
    async included(names) {
      if (names.length === 0) return { ready: new Map(), lastReadAt: null };
      try {
        return { ready: await within(config.storeDeadlineMs, readIncluded(finding, names)), lastReadAt: null };
      } catch (error) {
        if (error instanceof Problem) throw error;
        return remembered(names, error);
      }
    },
    async refresh() {
      try {
        for (const { name, sha256, version } of await within(config.storeDeadlineMs, store.runbooks.index())) {
          const known = byName.get(name);
          if (known?.stored.sha256 === sha256 && known.stored.version === version)
            byName.set(name, { ...known, readAt: clock().toISOString() });
          else await within(config.storeDeadlineMs, finding.find(name));
        }
      } catch (error) {
        log.warn({ err: error }, 'Runbooks could not be read from Postgres');
      }
    },
  };
}

function notReadBefore(name: string, cause: unknown): Problem {
  const message = `Included runbook "${name}" cannot be read: Postgres does not answer, and it was not read before. Bring Postgres back, or start from its text (\`muster run FILE --mode recovery --reason …\`) each runbook that is needed`;
  return new Problem('part-unavailable', message, {}, { cause });
}

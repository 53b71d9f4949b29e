/**
 * Servers by id or name, remembered in memory, so that a recovery can be started while Postgres is down (design: law 5).
 * Postgres is asked first; what it last said is used only when it does not answer.
 */
import type { ServerSpec } from '../model/server';
import type { ApiDeps } from './deps';
import { nearNames } from '../model/near';
import { notFound, Problem } from './problems';
import { within } from './within';

export interface KnownServers {
  /** @throws Problem `not-found` with near names, or `part-unavailable` when Postgres is down and the server not remembered. */
  find(idOrName: string): Promise<ServerSpec>;
  list(): Promise<ServerSpec[]>;
  /** Those of these names as they were last read, without asking. @throws Problem `part-unavailable` naming one that was not. */
  remembered(names: readonly string[]): ServerSpec[];
  /** Reads all of them, so that they are remembered; a failure is logged only. */
  refresh(): Promise<void>;
  forget(id: string): void;
}

export function knownServers({ store, config, log }: Pick<ApiDeps, 'store' | 'config' | 'log'>): KnownServers {
  const byId = new Map<string, ServerSpec>();

  async function list(): Promise<ServerSpec[]> {
    const servers = await within(config.storeDeadlineMs, store.servers.list());
    byId.clear();
    for (const server of servers) byId.set(server.id, server);
    return servers;
  }

  const cachedAs = (idOrName: string): ServerSpec | undefined =>
    byId.get(idOrName) ?? [...byId.values()].find((server) => server.name === idOrName);

  return {
    list,
    async find(idOrName) {
      let found: ServerSpec | undefined;
      try {
        found = await within(config.storeDeadlineMs, store.servers.find(idOrName));
      } catch (error) {
        const cached = cachedAs(idOrName);
        if (cached) {
          log.warn({ err: error, server: cached.name }, 'Postgres does not answer; the server is taken as last read');
          return cached;
        }
        throw notReadBefore(idOrName, error);
      }
      if (found) {
        byId.set(found.id, found);
        return found;
      }
      const names = (await list()).map((server) => server.name);
      throw notFound('server', idOrName, nearNames(idOrName, names));
    },
    remembered(names) {
      const byName = new Map([...byId.values()].map((server) => [server.name, server]));
      return names.map((name) => {
        const server = byName.get(name);
        if (server === undefined) throw notReadBefore(name);
        return server;
      });
    },
    async refresh() {
      await list().catch((error: unknown) => log.warn({ err: error }, 'Servers could not be read from Postgres'));
    },
    forget(id) {
      byId.delete(id);
    },
  };
}

function notReadBefore(idOrName: string, cause?: unknown): Problem {
  return new Problem(
    'part-unavailable',
    `Server "${idOrName}" cannot be looked up: Postgres does not answer, and this server was not read before. Bring Postgres back`,
    {},
    { cause },
  );
}

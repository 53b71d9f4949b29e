/** Several source sites behind one recovery site: a cycle goes to the server's own source. */
import { OperatorError } from '../model/errors';
import type { SiteId } from '../model/server';
import type { Replicas, ReplicationSource } from '../replication/contract';

type SourcesById = ReadonlyMap<SiteId, ReplicationSource>;

/** `open` builds the site's replicas for one source; only cycle and remove ever talk to it, so all may share a folder. */
export function replicasOfAllSources(sources: SourcesById, open: (source: ReplicationSource) => Replicas): Replicas {
  const bySource = new Map([...sources].map(([id, source]) => [id, open(source)]));
  return {
    ...open(everySource([...sources.values()])),
    cycle(server, options) {
      const replicas = bySource.get(server.source.siteId);
      if (replicas !== undefined) return replicas.cycle(server, options);
      return Promise.reject(
        new OperatorError({
          what: `server ${server.name} cannot be copied: this worker knows no source site "${server.source.siteId}"`,
          found: [...sources.keys()].join(', ') || 'none',
          remedy: 'Add the source to the configuration of the worker and restart it.',
        }),
      );
    },
  };
}

/**
 * For removing a replica: its checkpoints are named after the server's id, so they are looked for at every source and
 * can be nobody else's. A source that does not answer fails the search; the caller bounds it and goes on without.
 */
function everySource(sources: readonly ReplicationSource[]): ReplicationSource {
  const wrong = (): never => {
    throw new OperatorError('copies and discovery need the source of their server');
  };
  return {
    discover: async () => wrong(),
    copy: async () => wrong(),
    checkpoints: async (machineName, options) =>
      (
        await Promise.all(sources.map((source) => source.checkpoints(machineName, options).catch(noneIfUnknown)))
      ).flat(),
    deleteCheckpoint: async (machineName, checkpoint, options) => {
      for (const source of sources) {
        await source.deleteCheckpoint(machineName, checkpoint, options).catch(noneIfUnknown);
      }
    },
  };
}

/** A source that has no such machine has no checkpoints of it either. */
function noneIfUnknown(error: unknown): string[] {
  if (error instanceof OperatorError) return [];
  throw error;
}

/** Opens the configured sites: platform, replicas and disk tools of each. */
import { join } from 'node:path';
import type { Configuration, RecoverySiteConfig } from '../config/configuration';
import type { RecoverySite, Sites, SourceSite } from '../activities/site';
import { assertNever } from '../model/errors';
import { openSimulatedSite } from '../platforms/simulated/open';
import type { ReplicationSource } from '../replication/contract';

/** Opens nothing that needs an answer: a site that is down must not keep the worker from starting. */
export function openSites(configuration: Pick<Configuration, 'sites' | 'sources' | 'worker'>): Sites {
  const sources = new Map(configuration.sources.map((site) => [site.id, openSource(site)]));
  const bySite: Record<string, ReplicationSource> = {};
  for (const [id, { source }] of sources) bySite[id] = source;
  const mine = configuration.sites.filter((site) => configuration.worker.sites.includes(site.id));
  return {
    source: sources,
    recovery: new Map(mine.map((site) => [site.id, openRecovery(site, bySite)])),
  };
}

function openSource(site: Configuration['sources'][number]): SourceSite {
  switch (site.kind) {
    case 'simulated':
      return { id: site.id, ...openSimulatedSite({ id: site.id, folder: site.folder! }) };
    case 'libvirt':
      throw new Error('TODO');
    default:
      return assertNever(site);
  }
}

function openRecovery(site: RecoverySiteConfig, sources: Readonly<Record<string, ReplicationSource>>): RecoverySite {
  const leaseFolder = join(site.folder, 'leases');
  switch (site.kind) {
    case 'simulated':
      return { id: site.id, leaseFolder, ...openSimulatedSite({ id: site.id, folder: site.folder, sources }) };
    case 'libvirt':
      throw new Error('TODO');
    default:
      return assertNever(site);
  }
}

/** Opens the configured sites: platform, replicas and disk tools of each. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Configuration, RecoverySiteConfig } from '../config/configuration';
import type { RecoverySite, Sites, SourceSite } from '../activities/site';
import { createSecrets } from '../activities/secrets';
import { createDiskEditor } from '../disks/editor';
import { assertNever } from '../model/errors';
import type { SiteId } from '../model/server';
import { createLibvirtPlatform } from '../platforms/libvirt/platform';
import { openSimulatedSite } from '../platforms/simulated/open';
import type { ReplicationSource } from '../replication/contract';
import { takeSecretVariables } from '../programs/environment';
import { createLibvirtSource } from '../replication/libvirt-source';
import { createPreparations } from '../replication/preparations';
import { createReplicas } from '../replication/replicas';
import { lookAtControllers } from '../stack/controller-certificates';
import { openPhysical, physicalOptions } from './physical';
import { replicasOfAllSources } from './sources';

/** Opens nothing that needs an answer: a site that is down must not keep the worker from starting. */
export function openSites(configuration: Configuration): Sites {
  const sources = new Map(configuration.sources.map((site) => [site.id, openSource(site, configuration)]));
  const copies = new Map([...sources].map(([id, { source }]) => [id, source]));
  const mine = configuration.sites.filter((site) => configuration.worker.sites.includes(site.id));
  const secrets = createSecrets({ folder: configuration.secretsFolder, environment: takeSecretVariables() });
  const open = (site: RecoverySiteConfig): RecoverySite => {
    const physical = openPhysical(site, secrets);
    if (physical === undefined) return openRecovery(site, copies);
    const { machines } = physicalOptions(site, secrets);
    return { ...openRecovery(site, copies), physical, certificates: () => lookAtControllers(machines) };
  };
  return { source: sources, recovery: new Map(mine.map((site) => [site.id, open(site)])) };
}

function openSource(site: Configuration['sources'][number], configuration: Configuration): SourceSite {
  switch (site.kind) {
    case 'simulated':
      return { id: site.id, ...openSimulatedSite({ id: site.id, folder: site.folder! }) };
    case 'libvirt': {
      const consoleFolder = join(configuration.dataFolder, 'sources', site.id);
      const platform = createLibvirtPlatform({ id: site.id, uri: site.uri, consoleFolder, networks: {} });
      return { id: site.id, platform, source: createLibvirtSource({ uri: site.uri, clock: Date.now }) };
    }
    default:
      return assertNever(site);
  }
}

function openRecovery(site: RecoverySiteConfig, sources: ReadonlyMap<SiteId, ReplicationSource>): RecoverySite {
  const { id, folder } = site;
  const leaseFolder = join(folder, 'leases');
  switch (site.kind) {
    case 'simulated':
      return { id, leaseFolder, ...openSimulatedSite({ id, folder, sources: Object.fromEntries(sources) }) };
    case 'libvirt':
      return {
        id,
        leaseFolder,
        platform: createLibvirtPlatform({
          id,
          uri: site.uri,
          consoleFolder: join(folder, 'consoles'),
          networks: site.networks,
        }),
        replicas: replicasOfAllSources(sources, (source) =>
          createReplicas({
            folder: join(folder, 'replicas'),
            source,
            siteId: id,
            clock: Date.now,
            runtimeFolder: runtimeFolder(),
          }),
        ),
        preparations: createPreparations({
          ...{ folder: join(folder, 'replicas'), clock: Date.now, runtimeFolder: runtimeFolder() },
        }),
        disks: createDiskEditor({ scratchFolder: join(folder, 'scratch'), driverFolder: site.drivers }),
      };
    default:
      return assertNever(site);
  }
}

/** For sockets, whose paths may have 107 bytes; what is in it is named after the replica's whole path. */
export function runtimeFolder(): string {
  if (process.getuid?.() === 0) return '/run/muster';
  return join(process.env['XDG_RUNTIME_DIR'] ?? join(tmpdir(), `muster-${process.getuid?.()}`), 'muster');
}

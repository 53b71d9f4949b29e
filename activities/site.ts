/** What an activity has at its site. Built once per process by the composition root (worker/services.ts). */
import type { Platform } from '../platforms/contract';
import type { DiskEditor } from '../disks/contract';
import type { ReplicationSource, Replicas } from '../replication/contract';
import type { Preparations } from '../replication/prepared-contract';
import { OperatorError } from '../model/errors';
import type { CertificateSeen } from '../model/readiness/plan-risks';
import type { ReadinessAnswer } from '../model/readiness/site-readiness';
import type { SiteId } from '../model/server';
import type { Actor, RecoveryOrder } from '../model/order';
import type { EvidenceKeeper } from './evidence-keeper';
import type { Observer } from './observer';
import type { Secrets } from './secrets';

/** A site where servers are recovered. */
export interface RecoverySite {
  readonly id: SiteId;
  /** Where virtual machines are made. */
  readonly platform: Platform;
  /** The site's physical machines, where it has any. */
  readonly physical?: Platform;
  /** When those of its machines' controllers end. Default: not looked at. */
  readonly certificates?: () => Promise<readonly CertificateSeen[]>;
  readonly replicas: Replicas;
  readonly preparations: Preparations;
  readonly disks: DiskEditor;
  /** Folder of lease files; on storage that every worker of the site shares. */
  readonly leaseFolder: string;
  /** Networks that rehearsals may use and recoveries map to, by name, come from platform.health(). */
}

/** A site where servers run until they are lost: only ever asked with a deadline. */
export interface SourceSite {
  readonly id: SiteId;
  readonly platform: Platform;
  readonly source: ReplicationSource;
}

export interface Sites {
  readonly recovery: ReadonlyMap<SiteId, RecoverySite>;
  readonly source: ReadonlyMap<SiteId, SourceSite>;
}

export interface ActivityDeps {
  readonly sites: Sites;
  readonly evidence: EvidenceKeeper;
  /** What an order's references to secrets mean, on this worker. */
  readonly secrets: Secrets;
  readonly worker: Actor;
  /** Whose programs runbooks may have run on this host; absent: none. */
  readonly scriptsFolder?: string | undefined;
  /** What is not as needed on this worker's host: programs, versions, room. Default: not looked at. */
  readonly hostChecks?: () => Promise<ReadinessAnswer['host']>;
  /** Told how attempts end, for metrics and logs. Default: nobody. */
  readonly observer?: Observer;
  /** UTC milliseconds. */
  readonly now: () => number;
}

export function recoverySite(sites: Sites, id: SiteId): RecoverySite {
  return known(sites.recovery, id, 'recovery site');
}

/**
 * The platform that holds the machine of this order: the hypervisor, or the site's physical machines.
 *
 * @throws OperatorError when the order wants a physical machine and the site has none.
 */
export function platformOf(site: RecoverySite, order: Pick<RecoveryOrder, 'target'>): Platform {
  if (order.target.hardware.kind === 'virtual') return site.platform;
  if (site.physical !== undefined) return site.physical;
  throw new OperatorError({
    what: `site ${site.id} has no physical machines`,
    found: `hardware ${order.target.hardware.id}, which is physical`,
    needed: 'a list `machines` in the configuration of the site',
    remedy:
      'Add the machine to the worker’s configuration and restart the worker, then retry; or recover onto a hypervisor.',
  });
}

export function sourceSite(sites: Sites, id: SiteId): SourceSite {
  return known(sites.source, id, 'source site');
}

function known<T>(sites: ReadonlyMap<SiteId, T>, id: SiteId, what: string): T {
  const site = sites.get(id);
  if (site !== undefined) return site;
  throw new OperatorError({
    what: `this worker knows no ${what} "${id}"`,
    found: [...sites.keys()].join(', ') || 'none',
    remedy: 'Add the site to the worker’s configuration and restart the worker, then retry.',
  });
}

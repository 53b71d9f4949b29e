/** A whole site in one folder: platform, replicas, disk editor and replication source. See README.md. */
import type { DiskEditor } from '../../disks/contract';
import type { SiteId } from '../../model/server';
import type { Replicas, ReplicationSource } from '../../replication/contract';
import type { Preparations } from '../../replication/prepared-contract';
import type { Platform } from '../contract';
import { simulatedDiskEditor } from './disk-editor';
import { simulatedPlatform } from './platform';
import { simulatedPreparations } from './preparations';
import { simulatedReplicas } from './replicas';
import { siteAt, type Site } from './site';
import { simulatedSource } from './source';

export interface SimulatedSite {
  readonly site: Site;
  readonly platform: Platform;
  readonly replicas: Replicas;
  readonly preparations: Preparations;
  readonly disks: DiskEditor;
  readonly source: ReplicationSource;
}

/**
 * Opens the simulated site in `folder`, which need not exist; any number of processes may have it open.
 * `sources`: where points come from, by site id; a site is always its own source. `now`: the clock, in ms since 1970.
 */
export function openSimulatedSite(options: {
  folder: string;
  id: SiteId;
  sources?: Readonly<Record<SiteId, ReplicationSource>>;
  now?: () => number;
}): SimulatedSite {
  const site = siteAt(options);
  return {
    site,
    platform: simulatedPlatform(site),
    replicas: simulatedReplicas(site),
    preparations: simulatedPreparations(site),
    disks: simulatedDiskEditor(site),
    source: simulatedSource(site),
  };
}

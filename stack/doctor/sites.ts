/** Sites: each platform and each source asked for its condition; clocks of guests as their last recovery points have them. */
import { join } from 'node:path';
import type { Platform } from '../../platforms/contract';
import { formatSize } from '../../model/durations';
import { openSites } from '../../worker/sites';
import type { RecoverySite, Sites } from '../../activities/site';
import type { Configuration } from '../../config/configuration';
import { asProblem, type Check } from './check';
import { judgeSkew } from './clocks';
import type { Place } from './place';
import { ok, warning, type Finding } from './report';

const sourceDeadlineMs = 8_000;
/** Sites are often on the same hypervisor as others, and virsh asks several things one after the other. */
const platformDeadlineMs = 20_000;

/** @param scratchFolder where a platform may keep what it finds out while it is asked, such as whether KVM works */
export function siteChecks({ configuration }: Place, scratchFolder: string): Check[] {
  let sites: Sites;
  let asked: Sites;
  try {
    sites = openSites(configuration);
    asked = openSites(elsewhere(configuration, scratchFolder));
  } catch (error) {
    return [{ id: 'sites', title: 'the configured sites', look: async () => asProblem(error) }];
  }
  return [
    ...[...sites.recovery.values()].flatMap((site) => [
      {
        id: `site.${site.id}.platform`,
        title: `the platform of site ${site.id} answers`,
        deadlineMs: platformDeadlineMs,
        look: (signal: AbortSignal) =>
          lookAtPlatform(asked.recovery.get(site.id)!.platform, signal, wantedNetworks(configuration, site.id)),
      },
      {
        id: `clock.site.${site.id}`,
        title: `clocks of servers whose replicas are at site ${site.id}`,
        look: () => lookAtReplicas(site),
      },
    ]),
    ...[...asked.source.values()].map(({ id, platform }) => ({
      id: `source.${id}.platform`,
      title: `source ${id} answers`,
      deadlineMs: sourceDeadlineMs,
      look: (signal: AbortSignal) => lookAtSource(platform, signal),
    })),
  ];
}

/** The doctor leaves nothing in the folders of an installation. A simulated site is what its folder says, so it keeps it. */
function elsewhere(configuration: Configuration, folder: string): Configuration {
  const sites = configuration.sites.map((site) =>
    site.kind === 'simulated' ? site : { ...site, folder: join(folder, site.id) },
  );
  return { ...configuration, dataFolder: folder, sites };
}

function wantedNetworks(configuration: Place['configuration'], id: string): string[] {
  const site = configuration.sites.find((one) => one.id === id);
  return site !== undefined && 'networks' in site ? Object.keys(site.networks ?? {}) : [];
}

async function lookAtPlatform(platform: Platform, signal: AbortSignal, networks: readonly string[]): Promise<Finding> {
  const health = await platform.health({ signal });
  const offered = health.networks.map(({ name, isolated }) => `${name}${isolated ? ' (isolated)' : ''}`);
  const found = `${health.version}, ${health.acceleration}, ${formatSize(health.memoryFreeBytes)} memory free, networks ${offered.join(', ') || 'none'}`;
  const away = networks.filter((name) => !health.networks.some((one) => one.name === name));
  if (away.length === 0) return ok(found, 'an answer');
  const remedy =
    'Define and start it (`virsh net-list --all`, `virsh net-start NAME`), or correct the site’s networks.';
  return warning(`network ${away.join(', ')} is not active`, 'every configured network', remedy);
}

/** A source may be lost at any time, and nothing that recovery needs is there: never more than a warning. */
async function lookAtSource(platform: Platform, signal: AbortSignal): Promise<Finding> {
  try {
    return ok((await platform.health({ signal })).version, 'an answer, for replication');
  } catch (error) {
    const finding = asProblem(error);
    const remedy = `${finding.remedy} Recovery does not need it; replication waits for it.`.trim();
    return { ...finding, state: 'warning', remedy };
  }
}

async function lookAtReplicas({ replicas }: RecoverySite): Promise<Finding> {
  const skews: { name: string; ms: number }[] = [];
  for (const { serverId, serverName } of await replicas.views()) {
    const ms = (await replicas.points(serverId)).at(-1)?.clockSkewMs ?? null;
    if (ms !== null) skews.push({ name: serverName, ms });
  }
  const worst = skews.sort((a, b) => Math.abs(b.ms) - Math.abs(a.ms))[0];
  if (worst === undefined) return ok('no recovery point says', 'at most 1 s apart');
  return judgeSkew(worst.name, worst.ms);
}

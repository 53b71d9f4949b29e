/** A server of the campaign: seeded at a source, protected through the API, lost when the plan says so. */
import type { ServerSpec } from '../../model/server';
import { withFileLock } from '../../platforms/file-lock';
import { seedMachine } from '../../platforms/simulated/seed';
import { lockName } from '../../platforms/simulated/site';
import { until, type ApiClient } from './api-client';
import type { SiteName, SitePair } from './sites';

export interface ProtectedServer {
  readonly site: SiteName;
  readonly spec: ServerSpec;
  /** What it is called where it is recovered. */
  readonly machineName: string;
}

const smallDiskBytes = 128 * 1024;

export interface WantedServer {
  readonly name: string;
  readonly disks: number;
  readonly pointEveryMs: number;
}

/** Seeds it, adds it, protects it, and waits for its first recovery point. */
export async function protectServer(
  api: ApiClient,
  pair: SitePair,
  { name, disks, pointEveryMs }: WantedServer,
  deadline: AbortSignal,
): Promise<ProtectedServer> {
  const diskSizesBytes = Array.from({ length: disks }, () => smallDiskBytes);
  await seedMachine(pair.source.site.folder, { name, diskSizesBytes });
  const added = await api.call('POST', '/servers', {
    body: {
      name,
      source: { siteId: `${pair.name}-source`, machineName: name },
      recoverySiteId: pair.name,
      objectives: { rpoMs: 15_000, rtoMs: 600_000 },
      cadence: { pointEveryMs, keepPoints: 4 },
      probes: [{ name: 'counter', command: ['/usr/local/bin/counter-status'], expectOutput: '"chain":"ok"' }],
    },
  });
  // Names are the campaign's own: one that is taken was added by a call whose answer was lost.
  const known = added.status === 409 ? await api.call('GET', `/servers/${name}`) : added;
  if (known.status > 201) throw new Error(`${name} was not added: ${JSON.stringify(added.body)}`);
  const spec = known.body as ServerSpec;
  await api.call('POST', `/servers/${name}/protection`);
  const first = async () => ((await pair.recovery.replicas.points(spec.id)).length > 0 ? true : undefined);
  await until(`a first point of ${name}`, first, deadline);
  return { site: pair.name, spec, machineName: `${name}-back` };
}

/** The server is gone; a cycle that was under way may still complete its point, and has by then. */
export async function loseSource({ source, recovery }: SitePair, { spec }: ProtectedServer): Promise<void> {
  await source.platform.power({ name: spec.name, owner: null }, 'off');
  await withFileLock(lockName(recovery.site, `cycle ${spec.id}`), () => Promise.resolve());
}

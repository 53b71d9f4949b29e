/** A server of the campaign: seeded at a source, protected through the API, lost when the plan says so. */
import type { ServerSpec } from '../../model/server';
import { seedMachine } from '../../platforms/simulated/seed';
import { until, type ApiClient } from './api-client';
import type { Plan } from './plan';
import type { SiteName, SitePair } from './sites';

export interface ProtectedServer {
  readonly site: SiteName;
  readonly spec: ServerSpec;
  /** What it is called where it is recovered. */
  readonly machineName: string;
}

const smallDiskBytes = 128 * 1024;

/** Seeds it, adds it, protects it, and waits for its first recovery point. */
export async function protectServer(
  api: ApiClient,
  pair: SitePair,
  plan: Plan,
  deadline: AbortSignal,
): Promise<ProtectedServer> {
  const name = `${pair.name}-${String(plan.seed).padStart(4, '0')}`;
  const diskSizesBytes = Array.from({ length: plan.disks }, () => smallDiskBytes);
  await seedMachine(pair.source.site.folder, { name, diskSizesBytes });
  const added = await api.call('POST', '/servers', {
    body: {
      name,
      source: { siteId: `${pair.name}-source`, machineName: name },
      recoverySiteId: pair.name,
      objectives: { rpoMs: 15_000, rtoMs: 600_000 },
      cadence: { pointEveryMs: 5_000, keepPoints: 4 },
      probes: [{ name: 'counter', command: ['/usr/local/bin/counter-status'], expectOutput: '"chain":"ok"' }],
    },
  });
  if (added.status !== 201) throw new Error(`${name} was not added: ${JSON.stringify(added.body)}`);
  const spec = added.body as ServerSpec;
  await api.call('POST', `/servers/${name}/protection`);
  const first = async () => ((await pair.recovery.replicas.points(spec.id)).length > 0 ? true : undefined);
  await until(`a first point of ${name}`, first, deadline);
  return { site: pair.name, spec, machineName: `${name}-back` };
}

/** The server is gone, or goes on, as the plan says. */
export async function beginDisaster(pair: SitePair, plan: Plan, server: ProtectedServer): Promise<void> {
  if (plan.source === 'lost') await pair.source.platform.power({ name: server.spec.name, owner: null }, 'off');
}

/** Replication is paused and resumed, so that a session that rests after errors looks again at once. */
export async function wakeSession(api: ApiClient, server: ProtectedServer): Promise<void> {
  for (const change of ['pause', 'resume']) await changeSession(api, server, change);
}

export async function pauseSession(api: ApiClient, server: ProtectedServer): Promise<void> {
  await changeSession(api, server, 'pause');
}

/** 409: the session has ended (a commit took the replica), or is ending. 202: not done yet, asked again. */
async function changeSession(api: ApiClient, server: ProtectedServer, change: string): Promise<void> {
  for (;;) {
    const reply = await api.call('POST', `/servers/${server.spec.name}/protection/${change}`, {
      body: { reason: 'the campaign looks' },
    });
    if (reply.status !== 202) return;
  }
}

/** The servers of bench/plan.ts: simulated machines that were lost, each with a replica of one point, and the order of their plan. */
import { v7 } from 'uuid';
import type { PlanOrder, ServerOfPlan } from '../model/plan';
import { hardwareProfiles, type ServerSpec } from '../model/server';
import { seedMachine } from '../platforms/simulated/seed';
import { defaultScope } from '../store/contract';
import type { SitePair } from '../test/campaign/sites';
import { makeOrder } from '../test/support/order';
import { plainRunbook } from '../test/support/plan';

const diskBytes = 64 * 1024;
const preparedAtOnce = 8;

export const by = {
  actor: { kind: 'person', id: '01957bd0-0000-7000-8000-000000000001', name: 'Ines Okafor', role: 'admin' },
  ...{ authMethod: 'token', requestId: 'bench', address: '' },
} as const;

export async function prepareServers(pair: SitePair, count: number): Promise<ServerSpec[]> {
  const servers: ServerSpec[] = [];
  const names = Array.from({ length: count }, (_, at) => `server-${String(at).padStart(4, '0')}`);
  const prepare = async (): Promise<void> => {
    for (let name = names.shift(); name !== undefined; name = names.shift()) servers.push(await prepareOne(pair, name));
  };
  await Promise.all(Array.from({ length: preparedAtOnce }, prepare));
  return servers.sort((a, b) => a.name.localeCompare(b.name));
}

async function prepareOne({ recovery, source }: SitePair, name: string): Promise<ServerSpec> {
  const machineName = await seedMachine(source.site.folder, { name, diskSizesBytes: [diskBytes] });
  const server: ServerSpec = {
    ...(await source.source.discover(machineName)),
    ...{ id: v7(), name, tier: 1, objectives: { rpoMs: 60_000, rtoMs: 3_600_000 } },
    source: { siteId: source.site.id, machineName },
    recoverySiteId: recovery.site.id,
    cadence: { pointEveryMs: 5_000, freezeEveryMs: 0, keepPoints: 4 },
    probes: [
      {
        ...{ name: 'counter', command: ['/usr/local/bin/counter-status'], expectExitCode: 0 },
        ...{ expectOutput: '"chain":"ok"', timeoutMs: 30_000 },
      },
    ],
  };
  await recovery.replicas.prepare(server);
  await recovery.replicas.cycle(server);
  await source.platform.power({ name, owner: null }, 'off');
  return server;
}

const waves = ['databases', 'application', 'web', 'rest'];

/** The first `decided` servers wait for a person at power-on. */
export function planOf(servers: readonly ServerSpec[], options: { atOnce: number; decided: number }): PlanOrder {
  const requestedAt = new Date().toISOString();
  const planned = servers.map((server, at): ServerOfPlan => {
    const name = server.name;
    const order = makeOrder({
      ...{ ...defaultScope, runId: v7(), server, requestedAt, lostAt: null, requestedBy: by, reminderMs: 3_600_000 },
      target: {
        ...makeOrder().target,
        siteId: server.recoverySiteId,
        machineName: `${name}-back`,
        firmware: server.firmware,
        hardware: hardwareProfiles['vmware-pvscsi']!,
        networks: {},
        cpuCount: 1,
        memoryBytes: 64 * 1024 ** 2,
      },
      proof: { heartbeatTimeoutMs: 60_000, stableForMs: 50, screenshot: true },
      powerOn: at < options.decided ? 'decision' : 'automatic',
      sourceDeadlineMs: 5_000,
    });
    const wave = waves[Math.floor((at * waves.length) / servers.length)]!;
    return { name, wave, after: [], failure: { kind: 'critical' }, datastore: null, order };
  });
  return {
    ...{ ...defaultScope, runId: v7(), procedure: 'plan', mode: 'recovery', intent: 'disaster' },
    runbook: { name: 'bench', title: 'Bench', version: 1, sha256: '0'.repeat(64) },
    plan: {
      ...plainRunbook,
      limits: { ...plainRunbook.limits, atOnce: options.atOnce },
      waves: waves.map((name, at) => ({ name, title: name, after: at === 0 ? [] : [waves[at - 1]!], gate: null })),
    },
    servers: planned,
    parts: [],
    ...{ retry: makeOrder().retry, reminderMs: 3_600_000, lostAt: null, requestedAt, requestedBy: by, reason: 'bench' },
  };
}

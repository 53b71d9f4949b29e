/** The servers of bench/plan.ts: simulated machines that were lost, each with a replica of one point, and their runbook. */
import { v7 } from 'uuid';
import type { ServerSpec } from '../model/server';
import { seedMachine } from '../platforms/simulated/seed';
import type { SitePair } from '../test/campaign/sites';

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

export const runbookName = 'bench';

/** A runbook of them all, in four waves; the first `decided` wait for a person at power-on. JSON is YAML. */
export function runbookOf(servers: readonly ServerSpec[], options: { atOnce: number; decided: number }): string {
  const waveOf = (at: number): string => waves[Math.floor((at * waves.length) / servers.length)]!;
  return JSON.stringify({
    ...{ format: 1, name: runbookName, title: 'Bench' },
    networks: { recovery: { lan: 'lan' } },
    defaults: { hardware: 'vmware-pvscsi' },
    limits: { atOnce: options.atOnce },
    waves: waves.map((name, before) => ({
      ...{ name, after: before === 0 ? [] : [waves[before - 1]!] },
      servers: servers
        .map((server, at) => ({ name: server.name, powerOn: at < options.decided ? 'decision' : 'automatic', at }))
        .filter(({ at }) => waveOf(at) === name)
        .map(({ at: _at, ...server }) => server),
    })),
  });
}

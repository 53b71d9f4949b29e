/** A plan of any number of servers, each with an order as a runbook makes it; nothing of them is anywhere. For sizes and order. */
import { v7 } from 'uuid';
import type { PlanOrder } from '../../model/plan';
import { ines, makeOrder, storyServer } from './order';
import { plainRunbook } from './plan';

export function planOf(count: number): PlanOrder {
  const runId = v7();
  const waves = ['databases', 'application', 'web', 'rest'];
  const servers = Array.from({ length: count }, (_, at) => {
    const name = `server-${String(at).padStart(4, '0')}`;
    const mac = at
      .toString(16)
      .padStart(6, '0')
      .replace(/(..)(..)(..)/, '52:54:00:$1:$2:$3');
    const server = { ...storyServer, id: v7(), name, source: { siteId: 'berlin', machineName: name } };
    const nics = [
      { ...storyServer.nics[0]!, macAddress: mac },
      { ...storyServer.nics[0]!, index: 1, network: 'backup' },
    ];
    const address = (net: number): string => `10.${net}.${at >> 8}.${at & 255}/16`;
    const ip = (net: number) => ({ ip: address(net), gateway: `10.${net}.0.1`, dns: ['10.8.0.53', '10.8.0.54'] });
    const order = makeOrder({
      runId: v7(),
      server: { ...server, nics },
      target: {
        ...makeOrder().target,
        machineName: `${name}-recovered`,
        networks: { prod: 'dr-prod', backup: 'dr-backup' },
      },
      addresses: nics.map(({ index }) => ({
        nic: index,
        address: { recovery: ip(20 + index), rehearsal: ip(30 + index) },
      })),
      access: { decide: plainRunbook.access.decide, fourEyes: ['skip', 'abort', 'power-on'] },
      bootsAtOnce: 8,
    });
    const wave = waves[at % waves.length]!;
    return { name, wave, after: [], failure: { kind: 'critical' as const }, datastore: `store-${at % 12}`, order };
  });
  return {
    ...{ runId, tenantId: 'default', coreId: 'core1', procedure: 'plan', mode: 'recovery', intent: 'disaster' },
    runbook: { name: 'site', title: 'Evacuation of Berlin', version: 3, sha256: '0'.repeat(64) },
    plan: {
      ...plainRunbook,
      waves: waves.map((name, at) => ({ name, title: name, after: at === 0 ? [] : [waves[at - 1]!], gate: null })),
    },
    servers,
    parts: [],
    ...{ retry: makeOrder().retry, reminderMs: 900_000, lostAt: null, requestedAt: '2026-03-14T02:11:07.120Z' },
    ...{ requestedBy: ines, reason: 'Berlin lost power; facility says two days.' },
  };
}

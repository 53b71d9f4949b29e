/** Orders of plans for a simulated world. */
import { v7 } from 'uuid';
import { isolatedNetworkName } from '../../model/orders/isolated-networks';
import type { PlanOrder, RunbookOfPlan, ServerOfPlan } from '../../model/plan';
import type { RecoveryOrder } from '../../model/order';
import { ines } from './order';
import type { World } from './world';

export type Planned = Partial<Pick<ServerOfPlan, 'after' | 'failure'>> & {
  wave: string;
  order?: Partial<RecoveryOrder>;
};

const anybody = { roles: ['operator', 'coordinator', 'admin'] as const, people: [] };

/** What a runbook says that says nothing beside its waves. */
export const plainRunbook: Omit<RunbookOfPlan, 'waves'> = {
  direction: 'recovery',
  tier: 3,
  objectives: { rpoMs: null, rtoMs: null, tiers: {} },
  limits: { atOnce: null, sites: {}, datastores: {}, boots: {} },
  gates: {},
  scripts: [],
  notify: [],
  access: { start: anybody, decide: anybody, fourEyes: [] },
  rehearsal: { schedule: null, tryOut: null, giveUpAfterMs: 3_600_000, verifiedForMs: 90 * 86_400_000 },
  commit: { kind: 'decision' },
};

/** Servers that were lost, each in its wave; waves in the order in which they are named, each after the one before. */
export async function planOfLost(
  world: World,
  servers: Record<string, Planned>,
  changes: Partial<RunbookOfPlan> = {},
): Promise<PlanOrder> {
  const waves = [...new Set(Object.values(servers).map(({ wave }) => wave))];
  const planned: ServerOfPlan[] = [];
  for (const [name, { wave, after = [], failure = { kind: 'critical' as const }, order }] of Object.entries(servers)) {
    const server = await world.server(name);
    await world.production.platform.power({ name, owner: null }, 'off');
    planned.push({ name, wave, after, failure, datastore: null, order: world.order(server, order) });
  }
  const { tenantId, coreId, retry } = planned[0]!.order;
  return {
    ...{ runId: v7(), tenantId, coreId, procedure: 'plan', mode: 'recovery', intent: 'disaster' },
    runbook: { name: 'shop', title: 'Web shop', version: 1, sha256: '0'.repeat(64) },
    plan: {
      ...plainRunbook,
      waves: waves.map((name, at) => ({ name, title: name, after: at === 0 ? [] : [waves[at - 1]!], gate: null })),
      ...changes,
    },
    servers: planned,
    parts: [],
    ...{ retry, reminderMs: 60_000, lostAt: null, requestedAt: new Date().toISOString() },
    ...{ requestedBy: ines, reason: 'Site A lost power' },
  };
}

/** Servers that are rehearsed in one wave and one network of the plan. */
export async function planOfRehearsed(
  world: World,
  servers: Record<string, Partial<RecoveryOrder>>,
): Promise<{ order: PlanOrder; network: string }> {
  const runId = v7();
  const network = isolatedNetworkName('lan', runId);
  const planned = await Promise.all(
    Object.entries(servers).map(async ([name, changes]): Promise<ServerOfPlan> => {
      const server = await world.server(name);
      // No session runs: its only point has to do for replication that goes on.
      const objectives = { ...server.objectives, rpoMs: 3_600_000 };
      const order = world.order({ ...server, objectives }, { mode: 'rehearsal', ...changes });
      const target = { ...order.target, machineName: `${name}-rehearsal`, networks: { lan: network } };
      const isolation = { ownerRunId: runId, networks: [network], siteId: 'recovery' };
      const place = { name, wave: 'one', after: [], failure: { kind: 'critical' as const }, datastore: null };
      return { ...place, order: { ...order, target, isolation } };
    }),
  );
  const { tenantId, coreId, retry, requestedBy, requestedAt } = planned[0]!.order;
  const order: PlanOrder = {
    ...{
      runId,
      tenantId,
      coreId,
      procedure: 'plan',
      mode: 'rehearsal',
      intent: 'disaster',
      servers: planned,
      parts: [],
    },
    runbook: { name: 'shop', title: 'Web shop', version: 1, sha256: '0'.repeat(64) },
    plan: { ...plainRunbook, waves: [{ name: 'one', title: 'One', after: [], gate: null }] },
    ...{ retry, reminderMs: 60_000, lostAt: null, requestedAt, requestedBy, reason: 'Quarterly' },
  };
  return { order, network };
}

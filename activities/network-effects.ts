/** Effects on a rehearsal's networks and on its isolation. Under the lease of the networks' owner. */
import type { RecoveryOrder } from '../model/order';
import type { Attempt, EffectsOf } from './attempt';
import { callOptions, machineOf, networksResource } from './common';
import { readIsolation } from './isolation';
import { withLease } from './lease';
import type { RehearsalActivities } from './rehearsal-contract';
import { platformOf, recoverySite } from './site';
import type { ActivityDeps } from './site';
import { replicationSeen } from './survey';

type NetworkEffects = Pick<RehearsalActivities, 'makeNetworks' | 'removeNetworks' | 'proveIsolation'>;

export function createNetworkEffects(deps: ActivityDeps): EffectsOf<NetworkEffects> {
  return {
    async makeNetworks({ order }, attempt) {
      const { platform, refs, onNetworks } = wanted(deps, order, attempt);
      await onNetworks(async () => {
        for (const ref of refs) await platform.createNetwork(ref, callOptions(attempt));
      });
      return { networks: refs.map(({ name }) => name) };
    },

    async removeNetworks({ order }, attempt) {
      const { platform, refs, onNetworks } = wanted(deps, order, attempt);
      await onNetworks(async () => {
        for (const ref of refs) await platform.removeNetwork(ref, callOptions(attempt));
      });
    },

    async proveIsolation({ order }, attempt) {
      const site = recoverySite(deps.sites, order.target.siteId);
      const reading = await readIsolation(order, platformOf(site, order), machineOf(order), callOptions(attempt));
      const proof = {
        readAt: new Date(deps.now()).toISOString(),
        machine: order.target.machineName,
        ...reading,
        replication: await replicationSeen(site, order, deps.now),
      };
      const text = Buffer.from(JSON.stringify(proof, null, 2));
      await attempt.keep('The machine’s networks as the platform has them', text, 'isolation.json', 'application/json');
      return proof;
    },
  };
}

function wanted(deps: ActivityDeps, order: RecoveryOrder, attempt: Attempt) {
  const site = recoverySite(deps.sites, order.target.siteId);
  const { isolation, tenantId } = order;
  const owner = { tenantId, runId: isolation?.ownerRunId ?? order.runId };
  return {
    platform: platformOf(site, order),
    refs: (isolation?.networks ?? []).map((name) => ({ name, owner })),
    onNetworks: (work: () => Promise<void>): Promise<void> =>
      withLease(site.leaseFolder, networksResource(owner.runId), attempt.effect, work, { signal: attempt.signal }),
  };
}

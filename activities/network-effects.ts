/** Effects on a rehearsal's networks and on its isolation. Under the lease of the networks' owner. */
import { OperatorError } from '../model/errors';
import type { RecoveryOrder } from '../model/order';
import type { NetworkRef } from '../platforms/contract';
import type { Attempt, EffectsOf } from './attempt';
import { callOptions, machineOf, networksResource } from './common';
import { readIsolation } from './isolation';
import { withLease } from './lease';
import type { RehearsalActivities } from './rehearsal-contract';
import { platformOf, recoverySite } from './site';
import type { ActivityDeps } from './site';
import { replicationSeen } from './survey';
import { sameOwner } from '../platforms/owners';

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
      return onNetworks(async () => {
        for (const ref of refs) await platform.removeNetwork(ref, callOptions(attempt));
        const left = (await platform.networks(callOptions(attempt))).filter((made) =>
          refs.some((ref) => isSame(ref, made)),
        );
        if (left.length > 0) throw stillThere(left, order.target.siteId);
        const gone = refs.map(({ name }) => name);
        return { siteId: order.target.siteId, gone, lookedAt: new Date(deps.now()).toISOString() };
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
    onNetworks: <T>(work: () => Promise<T>): Promise<T> =>
      withLease(site.leaseFolder, networksResource(owner.runId), attempt.effect, work, { signal: attempt.signal }),
  };
}

const isSame = (a: NetworkRef, b: NetworkRef): boolean => a.name === b.name && sameOwner(a.owner, b.owner);

function stillThere(left: readonly NetworkRef[], siteId: string): OperatorError {
  const names = left.map(({ name }) => name).join(', ');
  return new OperatorError({
    what: `isolated networks of the rehearsal are not gone from site ${siteId}`,
    found: `the platform took their removal and still has ${names}`,
    needed: 'no network of this run',
    remedy: `See at the platform what keeps ${names}, remove it by hand, then retry: it is looked at again.`,
  });
}

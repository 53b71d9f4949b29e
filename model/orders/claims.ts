/**
 * What two servers of a plan cannot both have, over everything that it includes: a machine's name at a site, and an address. Of one
 * file it is said with its place (runbook/check-servers.ts); here it is found where only the whole plan shows it.
 */
import type { PlanOrder, ServerOfPlan } from '../plan';
import type { OrderProblem } from './build-plan';

interface Claim {
  readonly runbook: string;
  readonly server: string;
  /** Who has the same wants the same. */
  readonly key: string;
  readonly what: string;
}

/** @param plans the plan and all that it includes. The second of each two is told, with the first in its words. */
export function claimedTwice(plans: readonly PlanOrder[]): OrderProblem[] {
  const first = new Map<string, Claim>();
  return plans.flatMap(({ runbook, servers }) =>
    servers
      .flatMap((server) => claimsOf(runbook.name, server))
      .flatMap((claim): OrderProblem[] => {
        const before = first.get(claim.key);
        if (before === undefined) {
          first.set(claim.key, claim);
          return [];
        }
        const found = `${claim.what} for "${claim.server}", which "${before.server}" in runbook ${before.runbook} claims, too`;
        const remedy = 'Give one of the two another.';
        return [
          { runbook: claim.runbook, server: claim.server, found, needed: 'names and addresses of their own', remedy },
        ];
      }),
  );
}

function claimsOf(runbook: string, { name: server, order }: ServerOfPlan): Claim[] {
  const { mode, target, addresses = [] } = order;
  const { siteId, machineName, networks } = target;
  const machine = {
    key: `machine ${siteId}/${machineName}`,
    what: `the machine name ${machineName} at site ${siteId}`,
  };
  const ips = addresses.flatMap(({ nic, address }) => {
    const ip = address[mode]?.ip.split('/')[0];
    if (ip === undefined) return [];
    // Isolated networks lead nowhere: the same address in two of them is no conflict.
    const source = order.server.nics[nic]?.network ?? '';
    const place = mode === 'recovery' ? '' : `${siteId}/${networks[source] ?? ''} `;
    return [{ key: `address ${place}${ip}`, what: `the address ${ip}` }];
  });
  return [machine, ...ips].map((one) => ({ ...one, runbook, server }));
}

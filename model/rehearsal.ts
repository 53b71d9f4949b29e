/** What makes an order a rehearsal that cleans up after itself, and what may not be asked of one. */
import { machineUuidOf } from './ids';
import type { RecoveryOrder } from './order';
import type { SurveyedRun } from './survey';

/** Rehearsals of earlier versions had no `isolation`: they ran like recoveries and were cleaned up by hand. */
export function isRehearsal(order: Pick<RecoveryOrder, 'mode' | 'isolation'>): boolean {
  return order.mode === 'rehearsal' && order.isolation !== undefined;
}

/** Whether the replica goes on while the run stands: it took what it needs, and holds nothing. */
export const letsReplicaGo = (order: Pick<RecoveryOrder, 'mode' | 'isolation' | 'option'>): boolean =>
  order.option === 'copy-and-recover' || isRehearsal(order);

/** Whether its networks are its own; those of a plan are made and removed by the plan. */
export function makesNetworks({ isolation, partOf, runId }: RecoveryOrder): boolean {
  return (
    isolation !== undefined && isolation.networks.length > 0 && (partOf === undefined || isolation.ownerRunId === runId)
  );
}

/**
 * For every site the order of one of its servers, with the networks of all of them, as the plan makes and removes them.
 *
 * @param isMeant whose networks
 */
export function networksBySite(
  orders: readonly RecoveryOrder[],
  isMeant: (ownerRunId: string) => boolean,
): ReadonlyMap<string, RecoveryOrder> {
  const bySite = new Map<string, RecoveryOrder>();
  for (const order of orders) {
    const { isolation, target } = order;
    if (isolation === undefined || !isMeant(isolation.ownerRunId) || isolation.networks.length === 0) continue;
    const known = bySite.get(target.siteId);
    const names = new Set([...(known?.isolation?.networks ?? []), ...isolation.networks]);
    bySite.set(target.siteId, { ...(known ?? order), isolation: { ...isolation, networks: [...names].sort() } });
  }
  return bySite;
}

/** What a rehearsal may not do, in words; null: nothing of it is asked. */
export function rehearsalProblem({
  mode,
  option,
  intent,
}: Pick<RecoveryOrder, 'mode' | 'option' | 'intent'>): { found: string; needed: string } | null {
  if (mode !== 'rehearsal') return null;
  if (option === 'destructive') {
    return {
      found: 'option destructive in a rehearsal',
      needed: 'backup-and-recover or copy-and-recover: a rehearsal never takes the replica itself',
    };
  }
  if (intent === 'planned') {
    return { found: 'intent planned in a rehearsal', needed: 'intent disaster: a rehearsal never stops the source' };
  }
  return null;
}

/** Whose leftovers the clean-up looks for. */
export function surveyedRun(order: RecoveryOrder): SurveyedRun {
  const { runId, target, isolation } = order;
  const networks = makesNetworks(order) ? (isolation?.networks ?? []) : [];
  return { runId, names: [target.machineName, machineUuidOf(runId), ...networks] };
}

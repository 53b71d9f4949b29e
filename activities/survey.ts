/** Reads what model/survey.ts compares: the platform's inventory, the replica's surroundings, leases, replication. */
import { surveyedRun } from '../model/rehearsal';
import type { RecoveryOrder } from '../model/order';
import { isOfRun, type ReplicationSeen, type Survey, type SurveyItem } from '../model/survey';
import type { Attempt } from './attempt';
import { callOptions, copiesResource, machineResource } from './common';
import { isLeaseHeld } from './lease';
import { platformOf, type RecoverySite } from './site';

/** A site's machines and networks of others that are listed one by one; the rest is counted. */
const mostOthers = 200;

export async function readSurvey(
  site: RecoverySite,
  order: RecoveryOrder,
  attempt: Attempt,
  now: () => number,
): Promise<Survey> {
  const platform = await platformOf(site, order).inventory(callOptions(attempt));
  const own = [...(await site.replicas.survey(order.server.id)), ...(await leases(site, order, attempt))];
  const run = surveyedRun(order);
  const ours = platform.filter((item) => isOfRun(item, run));
  const others = platform.filter((item) => !isOfRun(item, run));
  const kept = others.length <= mostOthers ? others : [];
  return {
    at: new Date(now()).toISOString(),
    items: [...ours, ...kept, ...own],
    others: kept.length === others.length ? {} : countByKind(others),
    replication: await replicationSeen(site, order, now),
  };
}

function countByKind(items: readonly SurveyItem[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind } of items) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/** The run's own leases, by name; their lock files stay, because they keep attempts off that come too late. */
async function leases(site: RecoverySite, { runId }: RecoveryOrder, attempt: Attempt): Promise<SurveyItem[]> {
  const names = [machineResource(runId), copiesResource(runId)];
  const held = await Promise.all(names.map((name) => isLeaseHeld(site.leaseFolder, name, attempt.signal)));
  return names.filter((_, at) => held[at]).map((name): SurveyItem => ({ kind: 'lease', name, state: 'held', runId }));
}

export async function replicationSeen(
  site: RecoverySite,
  { server }: RecoveryOrder,
  now: () => number,
): Promise<ReplicationSeen> {
  const view = await site.replicas.view(server.id);
  return {
    at: new Date(now()).toISOString(),
    state: view?.state ?? null,
    heldBy: view?.heldBy ?? null,
    points: view?.points.length ?? 0,
    newestTakenAt: view?.points.at(-1)?.takenAt ?? null,
    lagMs: view?.lagMs ?? null,
  };
}

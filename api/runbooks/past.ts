/** Past runs of the servers of a plan, and of others at the same sites, for what is expected of the next. */
import type { PastTimes } from '../../model/estimate/past';
import type { PlanOrder, ServerOfPlan } from '../../model/plan';
import type { ApiDeps } from '../deps';

/** Newest first. @throws as the store does. */
export function pastTimes({ store }: Pick<ApiDeps, 'store'>, order: PlanOrder): Promise<PastTimes[]> {
  const servers = everyServer(order);
  const distinct = (ids: readonly string[]): string[] => [...new Set(ids)];
  return store.times.past({
    procedure: 'push-button-recovery',
    serverIds: distinct(servers.map((one) => one.order.server.id)),
    siteIds: distinct(servers.map((one) => one.order.target.siteId)),
  });
}

const everyServer = ({ servers, parts }: PlanOrder): ServerOfPlan[] => [
  ...servers,
  ...parts.flatMap((part) => everyServer(part.order)),
];

/** Past runs of the servers of a plan, and of others at the same sites, for what is expected of the next. */
import type { PastTimes } from '../../model/estimate/past';
import type { OrderInThought } from '../../model/estimate/simulate';
import { everyServerOf } from '../../model/every-server';
import type { ApiDeps } from '../deps';

/** Newest first. @throws as the store does. */
export function pastTimes({ store }: Pick<ApiDeps, 'store'>, order: OrderInThought): Promise<PastTimes[]> {
  const servers = everyServerOf(order);
  const distinct = (ids: readonly string[]): string[] => [...new Set(ids)];
  return store.times.past({
    procedure: 'push-button-recovery',
    serverIds: distinct(servers.map((one) => one.order.server.id)),
    siteIds: distinct(servers.map((one) => one.order.target.siteId)),
  });
}

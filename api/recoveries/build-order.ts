/** The order of a recovery (model/orders), with its refusals as the API's. */
import type { RecoveryOrder } from '../../model/order';
import { buildOrder as build, type OrderContext, type WantedRecovery } from '../../model/orders/build-order';
import type { ServerSpec } from '../../model/server';
import { Problem } from '../problems';

/** @throws Problem `validation` for a hardware profile that does not exist, and for what a physical machine cannot be asked. */
export function buildOrder(wanted: WantedRecovery, server: ServerSpec, context: OrderContext): RecoveryOrder {
  const built = build(wanted, server, context);
  if ('refused' in built) throw new Problem('validation', built.refused);
  return built.ok;
}

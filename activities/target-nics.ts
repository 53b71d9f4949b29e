/** The NICs that the recovered system will find: a made machine keeps the server's addresses, a physical one has its own. */
import type { RecoveryOrder } from '../model/order';
import type { NicSpec } from '../model/server';
import type { Attempt } from './attempt';
import { callOptions } from './common';
import { platformOf, type RecoverySite } from './site';

/** The n-th card of the server becomes the n-th of the machine; cards that it does not have are left out. */
export async function targetNics(
  order: RecoveryOrder,
  site: RecoverySite,
  attempt: Attempt,
): Promise<readonly NicSpec[]> {
  const { nics } = order.server;
  const platform = platformOf(site, order);
  if (platform.given === undefined) return nics;
  const machines = await platform.list(callOptions(attempt));
  const own = machines.find(({ name }) => name === order.target.machineName)?.nics ?? [];
  return nics.flatMap((nic) => {
    const card = own.find(({ index }) => index === nic.index);
    return card === undefined ? [] : [{ ...nic, macAddress: card.macAddress, model: card.model }];
  });
}

/** The NICs that the recovered system will find: a made machine keeps the server's addresses, a physical one has its own. */
import type { RecoveryOrder } from '../model/order';
import type { CardAddress } from '../disks/contract';
import { OperatorError } from '../model/errors';
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
  const own = (await platform.find(order.target.machineName, callOptions(attempt)))?.nics ?? [];
  return nics.flatMap((nic) => {
    const card = own.find(({ index }) => index === nic.index);
    return card === undefined ? [] : [{ ...nic, macAddress: card.macAddress, model: card.model }];
  });
}

/**
 * The new addresses of this order's mode, each with the address of its card.
 *
 * @throws OperatorError when the machine has no such card.
 */
export function addressesOf({ addresses = [], mode }: RecoveryOrder, nics: readonly NicSpec[]): CardAddress[] {
  return addresses.flatMap(({ nic, address }) => {
    const settings = address[mode];
    if (settings === undefined) return [];
    const card = nics.find(({ index }) => index === nic);
    if (card === undefined) throw noCard(nic, nics);
    return [{ ...settings, macAddress: card.macAddress }];
  });
}

const noCard = (nic: number, nics: readonly NicSpec[]) =>
  new OperatorError({
    what: `there is no card ${nic} to give an address to`,
    found: `cards ${nics.map(({ index }) => index).join(', ') || 'none'}`,
    needed: 'cards that the machine has, counted from 0',
    remedy: 'Correct `addresses` in the runbook and start again; or skip this step and set the address by hand.',
  });

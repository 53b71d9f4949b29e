/** Whether the cards of this server can be given the addresses that its order has for them. */
import type { RecoveryOrder } from '../model/order';
import { check, type Check } from './preflight-check';
import type { RecoverySite } from './site';

/** No check where no card gets another address in this mode. */
export function checkAddresses(order: RecoveryOrder, site: Pick<RecoverySite, 'disks'>): Check[] {
  const wanted = (order.addresses ?? []).filter(({ address }) => address[order.mode] !== undefined);
  if (wanted.length === 0) return [];
  const cards = wanted.map(({ nic }) => nic);
  const missing = cards.filter((nic) => !order.server.nics.some(({ index }) => index === nic));
  const how = obstacle(order, site);
  return [
    check(
      'cards with new addresses',
      missing.length === 0,
      missing.length === 0 ? `cards ${cards.join(', ')}` : `no card ${missing.join(', ')}`,
      'cards of the server, counted from 0',
    ),
    check(
      're-addressing',
      how === null,
      how ?? 'a Linux that is inoculated',
      'an inoculated Linux (docs/re-addressing.md)',
    ),
  ];
}

function obstacle({ server, inoculate, target }: RecoveryOrder, { disks }: Pick<RecoverySite, 'disks'>): string | null {
  if (server.os.family !== 'linux') return `${server.os.prettyName ?? server.os.family}: only Linux is re-addressed`;
  if (!inoculate) return 'the order says without inoculation, and addresses are a part of it';
  const choice = disks.chooseInoculator(server.os, target.hardware);
  return 'inoculator' in choice && choice.inoculator.includes('v2v') ? `${choice.inoculator} sets no addresses` : null;
}

/** NetworkManager (nm-settings-keyfile(5)): of several profiles for a card the one with the highest priority is used. */
import { createHash } from 'node:crypto';
import { dashed, headline, isForAnother, isV6, notUnderstood, type Card, type Texts } from './contract';

const folder = '/etc/NetworkManager/system-connections/';
export const isKeyfile = (path: string): boolean => path.startsWith(folder);
const highestPriority = 999;

export function rewriteNetworkManager(texts: Texts, card: Card): Map<string, string> {
  const path = `${folder}muster-${dashed(card)}.nmconnection`;
  for (const [other, text] of texts) {
    if (!isKeyfile(other) || other.startsWith(`${folder}muster-`)) continue;
    const priority = /^[ \t]*autoconnect-priority[ \t]*=[ \t]*(-?\d+)/m.exec(text)?.[1];
    if (Number(priority ?? 0) >= highestPriority) throw notUnderstood(other, `autoconnect-priority=${priority}`);
    const port = /^[ \t]*(master|slave-type|controller|port-type)[ \t]*=[ \t]*\S.*$/m.exec(text);
    if (port !== null) throw notUnderstood(other, port[0].trim());
    const route = /^[ \t]*route\d+[ \t]*=(?![ \t]*(?:0\.0\.0\.0\/0|::\/0)[ \t]*[,;]).*$/m.exec(text);
    if (route !== null && !isForAnother(text, card)) throw notUnderstood(other, route[0].trim());
  }
  const { ip, gateway, dns } = card;
  const own = [
    'method=manual',
    `address1=${ip}${gateway === null ? '' : `,${gateway}`}`,
    ...(dns.length === 0 ? [] : [`dns=${dns.join(';')};`]),
  ];
  const lines = [
    ...[`# ${headline}`, '[connection]', `id=muster-${dashed(card)}`, `uuid=${uuidOf(card)}`, 'type=ethernet'],
    ...['autoconnect=true', `autoconnect-priority=${highestPriority}`, ''],
    ...['[ethernet]', `mac-address=${card.macAddress.toUpperCase()}`, ''],
    ...['[ipv4]', ...(isV6(card) ? ['method=disabled'] : own), ''],
    ...['[ipv6]', ...(isV6(card) ? own : ['method=link-local']), ''],
  ];
  return new Map([[path, lines.join('\n')]]);
}

/** The same for the same card, so that a second time nothing differs. */
function uuidOf({ macAddress }: Card): string {
  const hex = createHash('sha256').update(`muster ${macAddress.toLowerCase()}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

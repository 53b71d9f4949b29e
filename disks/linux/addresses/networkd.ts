/** systemd-networkd (systemd.network(5)): the first file that fits a card is the only one, so a file before all others is enough. */
import { dashed, headline, isForAnother, notUnderstood, type Card, type Texts } from './contract';

const folder = '/etc/systemd/network/';
export const isNetworkdFile = (path: string): boolean => path.startsWith(folder) && path.endsWith('.network');

export function rewriteNetworkd(texts: Texts, card: Card): Map<string, string> {
  const path = `${folder}00-muster-${dashed(card)}.network`;
  for (const [other, text] of texts) {
    if (!isNetworkdFile(other) || other.startsWith(`${folder}00-muster-`)) continue;
    if (other < path) throw notUnderstood(other, 'a name that comes before every file that Muster could write');
    const port = /^[ \t]*(Bridge|Bond|VLAN|MACVLAN|IPVLAN|VRF)[ \t]*=.*$/m.exec(text);
    if (port !== null) throw notUnderstood(other, port[0].trim());
    const route = /^[ \t]*Destination[ \t]*=(?![ \t]*(?:0\.0\.0\.0\/0|::\/0)[ \t]*$).*$/m.exec(text);
    if (route !== null && !isForAnother(text, card)) throw notUnderstood(other, route[0].trim());
  }
  const lines = [
    ...[`# ${headline}`, '[Match]', `MACAddress=${card.macAddress}`, ''],
    ...['[Network]', `Address=${card.ip}`, ...(card.gateway === null ? [] : [`Gateway=${card.gateway}`])],
    ...[...card.dns.map((server) => `DNS=${server}`), 'DHCP=no', 'IPv6AcceptRA=no', ''],
  ];
  return new Map([[path, lines.join('\n')]]);
}

/** ifcfg files of Red Hat's family, read by NetworkManager's ifcfg-rh and by the older network service. */
import { headline, isV6, notUnderstood, type Card, type Texts } from './contract';

const folder = '/etc/sysconfig/network-scripts/ifcfg-';
export const isIfcfgFile = (path: string): boolean =>
  path.startsWith(folder) && !/\.(bak|orig|rpm\w+|old)$|~$/.test(path);

const replaced =
  /^\s*(BOOTPROTO|ONBOOT|IPADDR\d*|PREFIX\d*|NETMASK\d*|GATEWAY\d*|DNS\d+|PEERDNS|DEFROUTE|IPV6INIT|IPV6ADDR\w*|IPV6_\w+|DHCP\w+)=/;

/** The file of this card; null: there is none. */
export function ifcfgOf(texts: Texts, { macAddress, name }: Card): string | null {
  const files = [...texts].filter(([path]) => isIfcfgFile(path));
  const valueOf = (text: string, key: string) =>
    new RegExp(`^\\s*${key}=["']?([^"'\\s]*)`, 'm').exec(text)?.[1]?.toLowerCase();
  const byMac = files.filter(([, text]) => valueOf(text, 'HWADDR') === macAddress.toLowerCase());
  const byName = files.filter(
    ([path, text]) => name !== null && (valueOf(text, 'DEVICE') ?? path.slice(folder.length).toLowerCase()) === name,
  );
  return (byMac[0] ?? byName[0])?.[0] ?? null;
}

export function ifcfgNames(texts: Texts): string[] {
  const files = [...texts].filter(([path, text]) => isIfcfgFile(path) && !/^\s*HWADDR=/m.test(text));
  const names = files.map(([path, text]) => /^\s*DEVICE=["']?([^"'\s]+)/m.exec(text)?.[1] ?? path.slice(folder.length));
  return names.filter((name) => name !== 'lo' && !/[.:]/.test(name));
}

export function rewriteIfcfg(texts: Texts, card: Card): Map<string, string> {
  const path = ifcfgOf(texts, card);
  if (path === null) throw notUnderstood(folder, `no file for the card ${card.name ?? card.macAddress}`);
  const lines = texts.get(path)!.replace(/\n+$/, '').split('\n');
  const port = lines.find((line) => /^\s*(BRIDGE|MASTER|SLAVE|TEAM_MASTER|BRIDGE_UUID|MASTER_UUID)=/.test(line));
  if (port !== undefined) throw notUnderstood(path, port.trim());
  for (const kind of ['route-', 'route6-']) {
    const routes = path.replace('/ifcfg-', `/${kind}`);
    const first = texts
      .get(routes)
      ?.split('\n')
      .find((line) => !/^\s*(#|$)/.test(line));
    if (first !== undefined) throw notUnderstood(routes, first.trim());
  }
  const rest = lines.filter((line) => !replaced.test(line) && line !== `# ${headline}`);
  const [address, prefix] = card.ip.split('/');
  const gateway = card.gateway;
  const own = isV6(card)
    ? [
        'IPV6INIT=yes',
        'IPV6_AUTOCONF=no',
        `IPV6ADDR=${card.ip}`,
        ...(gateway === null ? [] : [`IPV6_DEFAULTGW=${gateway}`]),
      ]
    : [`IPADDR=${address}`, `PREFIX=${prefix}`, ...(gateway === null ? [] : [`GATEWAY=${gateway}`])];
  const dns = card.dns.map((server, at) => `DNS${at + 1}=${server}`);
  const text = [...rest, `# ${headline}`, 'BOOTPROTO=none', 'ONBOOT=yes', 'PEERDNS=no', ...own, ...dns, ''].join('\n');
  return new Map([[path, text]]);
}

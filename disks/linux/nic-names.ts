/**
 * Network names that depend on where a card is plugged in (enp1s0, ens192) change with the hardware, and a guest whose
 * configuration names one comes up without network. Muster keeps the old name: a systemd .link file gives it to the card
 * with the right MAC address (recovery keeps MAC addresses) or, where those are not known and one name is configured, to
 * the card with the new hardware's driver. ethN names come in bus order, which a rebuilt machine keeps: left alone.
 */
import { parse } from 'yaml';
import type { HardwareProfile, NicSpec } from '../../model/server';

export const nicDrivers: Readonly<Record<HardwareProfile['nicModel'], string>> = {
  e1000: 'e1000',
  e1000e: 'e1000e',
  virtio: 'virtio_net',
  vmxnet3: 'vmxnet3',
};

/** Folders whose files configure the network, with the endings that count. */
export const networkFolders: readonly (readonly [string, RegExp])[] = [
  ['/etc/network/interfaces.d', /^[A-Za-z0-9_.-]+$/],
  ['/etc/netplan', /\.ya?ml$/],
  ['/etc/systemd/network', /\.(network|link)$/],
  ['/etc/NetworkManager/system-connections', /\.nmconnection$/],
  ['/etc/udev/rules.d', /-persistent-net.*\.rules$/],
];

const positional = /^(en[opsx]|wl[opsx])[a-zA-Z0-9]{1,12}$/;
const ourLink = (name: string) => `/etc/systemd/network/10-muster-${name}.link`;

/** Names in the configuration that the new hardware would not get by itself, in natural order. */
export function namesAtRisk(files: ReadonlyMap<string, string>): string[] {
  const named = new Set<string>();
  const kept = new Set<string>();
  for (const [path, text] of files) {
    // What an earlier inoculation wrote is its effect, not the guest's own configuration.
    if (path.startsWith('/etc/systemd/network/10-muster-')) continue;
    const found = namesIn(path, text);
    for (const name of found.byName) named.add(name);
    for (const name of found.byMac) kept.add(name);
  }
  return [...named]
    .filter((name) => positional.test(name) && !kept.has(name))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
}

interface Names {
  readonly byName: readonly string[];
  /** Given by MAC address, so they survive. */
  readonly byMac: readonly string[];
}

function namesIn(path: string, text: string): Names {
  if (path.endsWith('.yaml') || path.endsWith('.yml')) return netplanNames(text);
  if (path.endsWith('.rules')) return { byName: [], byMac: persistentNames(text) };
  if (path.endsWith('.link')) return linkNames(text);
  if (path.endsWith('.network')) return { byName: matches(text, /^[ \t]*Name[ \t]*=[ \t]*(\S.*)$/gm), byMac: [] };
  if (path.endsWith('.nmconnection'))
    return { byName: matches(text, /^[ \t]*interface-name[ \t]*=[ \t]*(\S.*)$/gm), byMac: [] };
  const words = matches(
    text,
    /^[ \t]*(?:auto|allow-\w+|iface|bridge_ports|bridge-ports|bond-slaves|slaves|vlan-raw-device)[ \t]+(\S.*)$/gm,
  );
  return { byName: words.map((word) => word.replace(/[.:].*$/, '')), byMac: [] };
}

const matches = (text: string, pattern: RegExp) =>
  [...text.matchAll(pattern)].flatMap((match) => match[1]!.trim().split(/\s+/));

function linkNames(text: string): Names {
  return {
    byName: [],
    byMac: /^[ \t]*(Permanent)?MACAddress[ \t]*=/m.test(text) ? matches(text, /^[ \t]*Name[ \t]*=[ \t]*(\S.*)$/gm) : [],
  };
}

function persistentNames(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => !line.trim().startsWith('#') && line.includes('ATTR{address}=='))
    .flatMap((line) => matches(line, /NAME="([^"]+)"/g));
}

function netplanNames(text: string): Names {
  const ethernets = readEthernets(text);
  const byName: string[] = [];
  const byMac: string[] = [];
  for (const [key, value] of Object.entries(ethernets)) {
    const match = isRecord(value) && isRecord(value['match']) ? value['match'] : undefined;
    const set = isRecord(value) && typeof value['set-name'] === 'string' ? value['set-name'] : undefined;
    if (match === undefined) byName.push(key);
    else if ('macaddress' in match) byMac.push(set ?? key);
    else if (typeof match['name'] === 'string') byName.push(match['name']);
  }
  return { byName, byMac };
}

/** The parser takes the square of the length for some texts: a quarter of a second for 16 KiB of quotes (measured). */
const longestYaml = 32 * 1024;

/** A file that is no YAML configures nothing (netplan refuses it, too). */
function readEthernets(text: string): Record<string, unknown> {
  if (text.length > longestYaml) return {};
  try {
    const root: unknown = parse(text, { maxAliasCount: 50 });
    const network = isRecord(root) ? root['network'] : undefined;
    const ethernets = isRecord(network) ? network['ethernets'] : undefined;
    return isRecord(ethernets) ? ethernets : {};
  } catch {
    return {};
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

export interface NicPlan {
  /** path -> content of .link files to be there. */
  readonly links: ReadonlyMap<string, string>;
  readonly changes: readonly string[];
  readonly warnings: readonly string[];
}

/** Which card gets which name. `nics`: the server's cards, whose MAC addresses the recovered machine keeps. */
export function planNicNames(names: readonly string[], hardware: HardwareProfile, nics?: readonly NicSpec[]): NicPlan {
  if (names.length === 0) return { links: new Map(), changes: [], warnings: [] };
  const cards = [...(nics ?? [])].sort((a, b) => a.index - b.index);
  if (cards.length === 0 && names.length > 1) return cannotTell(names, 'the MAC addresses of the cards are not known');
  if (cards.length > 0 && cards.length !== names.length) {
    return cannotTell(names, `${names.length} names are configured and the machine has ${cards.length} cards`);
  }
  const driver = nicDrivers[hardware.nicModel];
  const links = new Map<string, string>();
  const changes: string[] = [];
  for (const [index, name] of names.entries()) {
    const card = cards[index];
    const match = card === undefined ? `Type=ether\nDriver=${driver}` : `MACAddress=${card.macAddress}`;
    links.set(ourLink(name), linkText(name, match));
    changes.push(
      `${ourLink(name)}: ${name} for the card with ${card === undefined ? `driver ${driver}` : card.macAddress}`,
    );
  }
  return { links, changes, warnings: [] };
}

const linkText = (name: string, match: string) =>
  `# Written by Muster: keeps the name that this system's network configuration uses on other hardware.\n[Match]\n${match}\n\n[Link]\nName=${name}\n`;

const cannotTell = (names: readonly string[], because: string): NicPlan => ({
  links: new Map(),
  changes: [],
  warnings: [`network names ${names.join(', ')} may change: ${because}`],
});

/** Driver names in matches (netplan, networkd, persistent rules): the new hardware has another driver. */
export function rewriteDriverMatch(path: string, text: string, hardware: HardwareProfile): string {
  const driver = nicDrivers[hardware.nicModel];
  if (path.endsWith('.rules')) {
    // The address says which card is meant; the driver only kept other hardware out.
    return text.replace(/^([^#\r\n]*ATTR\{address\}==[^\r\n]*)$/gm, (line) =>
      line.replace(/DRIVERS=="(?!\?\*")[^"]*"/, 'DRIVERS=="?*"'),
    );
  }
  const known = /\b(e1000e?|igb|igc|ixgbe|virtio_net|virtio|vmxnet3|tg3|bnx2x?|r8169|8139cp|xen-netfront|hv_netvsc)\b/;
  const pattern = /\.ya?ml$/.test(path) ? /^([ \t]*driver:[ \t]*)(\S.*)$/gm : /^([ \t]*Driver[ \t]*=[ \t]*)(\S.*)$/gm;
  if (!/\.(ya?ml|network|link)$/.test(path) || path.startsWith('/etc/systemd/network/10-muster-')) return text;
  return text.replace(pattern, (line, before: string, value: string) =>
    known.test(value) && !value.includes(driver) ? `${before}${driver}` : line,
  );
}

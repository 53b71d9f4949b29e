/** ifupdown: /etc/network/interfaces and the files beside it (interfaces(5)). */
import { headline, isV6, nameFor, notUnderstood, type Card, type Texts } from './contract';

export const isInterfacesFile = (path: string): boolean => path.startsWith('/etc/network/interfaces');

const keyword = /^\s*(auto|allow-\S+|iface|mapping|source|source-directory|no-auto-down|no-scripts|rename|template)\s/;
/** What a new address takes the place of, and what has nothing to do with it. */
const replaced =
  /^(address|netmask|broadcast|network|gateway|dns-\S+|pointopoint|scope|accept_ra|autoconf|dad-attempts)$/;
const kept = /^(mtu|metric|hwaddress)$/;

/** Of what stands over cards: bridges, bonds, VLANs. */
const port = /^\s*(bridge[_-]ports|bond-slaves|slaves|vlan[_-]raw[_-]device)\s+(.*)$/;

interface Stanza {
  readonly name: string;
  readonly first: number;
  /** Behind its last option. */
  readonly end: number;
  readonly lines: readonly string[];
}

/** Names of cards that have a stanza; loopback, aliases and VLANs are none. */
export function ifupdownNames(texts: Texts): string[] {
  const all = [...texts].filter(([path]) => isInterfacesFile(path)).flatMap(([, text]) => stanzasOf(text.split('\n')));
  const cards = all.filter(({ lines }) => !lines.some((line) => port.test(line)));
  return [...new Set(cards.map(({ name }) => name))].filter((name) => name !== 'lo' && !/[.:]/.test(name));
}

/** Its stanzas, in whatever family and file, become one with the new address, where the first of them was. */
export function rewriteIfupdown(texts: Texts, card: Card): Map<string, string> {
  const files = new Map<string, string>();
  let written = false;
  for (const [path, text] of texts) {
    if (!isInterfacesFile(path)) continue;
    const name = nameFor(path, card);
    refusePorts(path, text, name);
    const lines = text.split('\n');
    const own = stanzasOf(lines).filter((stanza) => stanza.name === name);
    if (own.length === 0) continue;
    const options = own.flatMap((stanza) => keptOptions(path, stanza));
    for (const stanza of [...own].reverse()) {
      const isFirst = stanza === own[0] && !written;
      lines.splice(stanza.first, stanza.end - stanza.first, ...(isFirst ? stanzaFor(name, card, options) : []));
    }
    written = true;
    files.set(path, lines.join('\n'));
  }
  if (!written)
    throw notUnderstood('/etc/network/interfaces', `nothing about the card ${card.name ?? card.macAddress}`);
  return files;
}

function stanzasOf(lines: readonly string[]): Stanza[] {
  return lines.flatMap((line, first): Stanza[] => {
    const name = /^\s*iface\s+(\S+)/.exec(line)?.[1];
    if (name === undefined) return [];
    const next = lines.findIndex((other, at) => at > first && keyword.test(other));
    const behind = next === -1 ? lines.length : next;
    const last = lines.findLastIndex((other, at) => at < behind && !/^\s*(#|$)/.test(other));
    return [{ name, first, end: last + 1, lines: lines.slice(first, last + 1) }];
  });
}

function keptOptions(path: string, { lines }: Stanza): string[] {
  return lines.slice(1).flatMap((line) => {
    const option = /^\s*(\S+)/.exec(line)?.[1];
    if (option === undefined || option.startsWith('#') || replaced.test(option)) return [];
    if (kept.test(option) && !line.endsWith('\\')) return [line];
    throw notUnderstood(path, line.trim());
  });
}

function stanzaFor(name: string, card: Card, options: readonly string[]): string[] {
  const { ip, gateway, dns } = card;
  return [
    `iface ${name} ${isV6(card) ? 'inet6' : 'inet'} static`,
    `    # ${headline}`,
    `    address ${ip}`,
    ...(gateway === null ? [] : [`    gateway ${gateway}`]),
    ...(dns.length === 0 ? [] : [`    dns-nameservers ${dns.join(' ')}`]),
    ...options,
  ];
}

/** A card that is a port of something has no address of its own. */
function refusePorts(path: string, text: string, name: string): void {
  for (const line of text.split('\n')) {
    if (port.exec(line)?.[2]!.split(/\s+/).includes(name) === true) throw notUnderstood(path, line.trim());
  }
}

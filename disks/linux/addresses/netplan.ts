/** netplan (netplan-yaml(5)): files add to each other, so the entry that means the card is changed where it stands. */
import { isDeepStrictEqual } from 'node:util';
import { isMap, parseDocument, type Document } from 'yaml';
import { isV6, notUnderstood, type Card, type Texts } from './contract';

export const isNetplanFile = (path: string): boolean => path.startsWith('/etc/netplan/') && /\.ya?ml$/.test(path);

/** Longer ones are not parsed: the parser takes the square of the length for some texts. */
const longest = 32 * 1024;
const keys = ['dhcp4', 'dhcp6', 'addresses', 'gateway4', 'gateway6', 'routes', 'nameservers', 'accept-ra'] as const;

export function rewriteNetplan(texts: Texts, card: Card): Map<string, string> {
  const found: { path: string; document: Document; key: string }[] = [];
  for (const [path, text] of texts) {
    if (!isNetplanFile(path)) continue;
    const document = parsed(path, text);
    for (const key of ethernetsOf(document)) {
      if (means(document, key, card)) found.push({ path, document, key });
    }
    refusePorts(path, document, card);
  }
  const [entry, another] = found;
  if (entry === undefined) throw notUnderstood('/etc/netplan', `no entry for the card ${card.name ?? card.macAddress}`);
  if (another !== undefined) throw notUnderstood(another.path, `the card also has an entry in ${entry.path}`);
  return new Map([[entry.path, changed(entry, texts.get(entry.path)!, card)]]);
}

/** Names of cards in order; entries that go by an address have none. */
export function netplanNames(texts: Texts): string[] {
  return [...texts].flatMap(([path, text]) => {
    if (!isNetplanFile(path)) return [];
    const document = parsed(path, text);
    return ethernetsOf(document).filter((key) => macOf(document, key) === null);
  });
}

function parsed(path: string, text: string): Document {
  if (text.length > longest) throw notUnderstood(path, `${text.length} characters`);
  const document = parseDocument(text);
  if (document.errors.length > 0) throw notUnderstood(path, document.errors[0]!.message.split('\n')[0]!);
  return document;
}

function ethernetsOf(document: Document): string[] {
  const node = document.getIn(['network', 'ethernets']);
  return isMap(node) ? node.items.map(({ key }) => String(key)) : [];
}

function macOf(document: Document, key: string): string | null {
  const mac = document.getIn(['network', 'ethernets', key, 'match', 'macaddress']);
  return typeof mac === 'string' ? mac.toLowerCase() : null;
}

function means(document: Document, key: string, { macAddress, name }: Card): boolean {
  const mac = macOf(document, key);
  return mac === null ? key === name : mac === macAddress.toLowerCase();
}

function changed({ path, document, key }: { path: string; document: Document; key: string }, text: string, card: Card) {
  const at = ['network', 'ethernets', key];
  const now = (document.toJS({ maxAliasCount: 50 }) as { network: { ethernets: Record<string, unknown> } }).network
    .ethernets[key] as Record<string, unknown> | null;
  const foreign = routesOf(now).find(({ to }) => !['default', '0.0.0.0/0', '::/0'].includes(to));
  if (foreign !== undefined) throw notUnderstood(path, `a route to ${foreign.to}`);
  const wanted = wantedFor(card);
  if (keys.every((one) => isDeepStrictEqual(now?.[one], wanted[one]))) return text;
  for (const one of keys) document.deleteIn([...at, one]);
  for (const [one, value] of Object.entries(wanted)) document.setIn([...at, one], document.createNode(value));
  return document.toString();
}

function wantedFor(card: Card): Partial<Record<(typeof keys)[number], unknown>> {
  const { ip, gateway, dns } = card;
  return {
    ...{ dhcp4: false, dhcp6: false, 'accept-ra': false, addresses: [ip] },
    ...(gateway === null ? {} : { routes: [{ to: isV6(card) ? '::/0' : '0.0.0.0/0', via: gateway }] }),
    ...(dns.length === 0 ? {} : { nameservers: { addresses: [...dns] } }),
  };
}

function routesOf(entry: Record<string, unknown> | null): { to: string }[] {
  const routes = entry?.['routes'];
  return Array.isArray(routes) ? routes.map((route: { to?: unknown } | null) => ({ to: String(route?.to) })) : [];
}

/** A card that is a port of something has no address of its own. */
function refusePorts(path: string, document: Document, card: Card): void {
  const network = (document.toJS({ maxAliasCount: 50 }) as { network?: Record<string, unknown> } | null)?.network ?? {};
  const own = ethernetsOf(document).filter((key) => means(document, key, card));
  for (const kind of ['bridges', 'bonds', 'vlans', 'vrfs'] as const) {
    for (const [name, value] of Object.entries(
      (network[kind] ?? {}) as Record<string, Record<string, unknown> | null>,
    )) {
      const ports = [...((value?.['interfaces'] as unknown[] | undefined) ?? []), value?.['link']];
      if (ports.some((port) => own.includes(String(port))))
        throw notUnderstood(path, `${name} (${kind}) over this card`);
    }
  }
}

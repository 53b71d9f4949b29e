/** Networks of this host as virsh and the kernel show them, and what a tenant left of them. */
import { readdirSync } from 'node:fs';
import { virsh } from '../../replication/support/demo-machine';
import { sh } from '../../replication/support/tools';

export async function networks(): Promise<string[]> {
  return linesOf(await virsh('net-list', '--all', '--name'));
}

/** Those that Muster made for the tenant. */
export async function networksOf(tenant: string): Promise<string[]> {
  const all = await networks();
  // One of another test may be gone since it was listed.
  const texts = await Promise.all(all.map((name) => virsh('net-dumpxml', '--network', name).catch(() => '')));
  return all.filter((_, at) => texts[at]!.includes(`tenant="${tenant}"`));
}

/** After a failure: what the test's tenant made, and nobody else's. */
export async function removeNetworksOf(tenant: string): Promise<void> {
  for (const network of await networksOf(tenant)) {
    await virsh('net-destroy', network).catch(() => undefined);
    await virsh('net-undefine', network);
  }
}

export interface NetworkSeen {
  /** Elements of its definition that lead out. */
  readonly leadsOut: readonly string[];
  /** The host's own addresses in it. */
  readonly addresses: readonly string[];
  /** What is plugged into its bridge. */
  readonly members: readonly string[];
  /** Cards of the machines: the tap of each, and what it is plugged into. */
  readonly cards: readonly { readonly tap: string; readonly type: string; readonly source: string }[];
}

export async function seeNetwork(network: string, machines: readonly string[]): Promise<NetworkSeen> {
  const xml = await virsh('net-dumpxml', '--network', network);
  const bridge = /<bridge name='([^']+)'/.exec(xml)![1]!;
  const addresses = await sh('ip', '-brief', 'address', 'show', 'dev', bridge);
  return {
    leadsOut: xml.match(/<forward|<ip |<ip>|<route/g) ?? [],
    addresses: addresses.match(/\d+\.\d+\.\d+\.\d+|fe80|::/g) ?? [],
    members: readdirSync(`/sys/class/net/${bridge}/brif`).sort(),
    cards: (await Promise.all(machines.map(cardsOf))).flat(),
  };
}

/** The network of these machines alone: nothing leads out of it, and nothing else is in it. */
export function isolated(network: string, { cards }: NetworkSeen): NetworkSeen {
  const inIt = cards.map(({ tap }) => ({ tap, type: 'network', source: network }));
  return { leadsOut: [], addresses: [], members: cards.map(({ tap }) => tap).sort(), cards: inIt };
}

async function cardsOf(machine: string): Promise<NetworkSeen['cards'][number][]> {
  return linesOf(await virsh('domiflist', machine)).map((line) => {
    const [tap, type, source] = line.split(/\s+/);
    return { tap: tap!, type: type!, source: source! };
  });
}

function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

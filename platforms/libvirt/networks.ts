/**
 * Networks of a libvirt host that lead nowhere: a bridge of its own without <forward> and without <ip>, so that neither the
 * host nor anybody else has an address in it. The owner stands in the network's metadata.
 *
 * Facts: libvirt's formatnetwork.html (9.0); without <ip> libvirt starts no dnsmasq and switches IPv6 off on the bridge.
 */
import { access, readdir } from 'node:fs/promises';
import { XMLParser } from 'fast-xml-parser';
import { isMusterError, OperatorError } from '../../model/errors';
import { fewAtOnce } from '../../model/few-at-once';
import { withFileLock } from '../file-lock';
import { sameOwner } from '../owners';
import type { CallOptions, MadeNetwork, NetworkRef, Owner } from '../contract';
import { networkXml } from './domain-xml';
import { askedAtOnce, readDomains, type Host } from './host';
import { runNative, xmlFile } from './virsh';

type Element = Readonly<Record<string, unknown>>;
const reader = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '@', parseTagValue: false });

/** One network as libvirt describes it. */
export interface NetworkFound {
  readonly name: string;
  readonly owner: Owner | null;
  readonly active: boolean;
  readonly xml: string;
}

export async function networks(host: Host, options: CallOptions = {}): Promise<MadeNetwork[]> {
  const found = (await allNetworks(host, options)).filter(({ owner }) => owner !== null);
  if (found.length === 0) return [];
  const cards = await pluggedCards(host, options);
  return Promise.all(
    found.map(async ({ name, owner, active, xml }) => ({
      ...{ name, owner: owner!, active, uplinks: await uplinksOf(xml) },
      // A card may name the bridge instead of the network.
      plugged: cards
        .filter(({ network }) => network === name || network === bridgeOf(xml))
        .map(({ machine, macAddress }) => ({ machine, macAddress })),
    })),
  );
}

/** Also those that are not Muster's. */
export async function allNetworks(host: Host, options: CallOptions = {}): Promise<NetworkFound[]> {
  const list = async (args: string[]) =>
    (await host.virsh.run('networks cannot be listed', ['net-list', '--name', ...args], options))
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '');
  const [names, active] = await Promise.all([list(['--all']), list([])]);
  const found = await fewAtOnce(names, askedAtOnce, (name) => dump(host, name, options));
  return names.flatMap((name, at) => {
    const xml = found[at];
    return xml === undefined ? [] : [{ name, xml, owner: ownerOf(xml), active: active.includes(name) }];
  });
}

async function dump(host: Host, name: string, options: CallOptions): Promise<string | undefined> {
  return host.virsh
    .run(`network ${name} cannot be read`, ['net-dumpxml', '--network', name], options)
    .catch((error: unknown) => {
      if (isMusterError(error) && /Network not found/i.test(error.facts.detail ?? '')) return undefined;
      throw error;
    });
}

const networkIn = (xml: string): Element => (reader.parse(xml) as { network?: Element }).network ?? {};

export function ownerOf(xml: string): Owner | null {
  const tag = (networkIn(xml)['metadata'] as Element | undefined)?.['muster:network'] as Element | undefined;
  const [tenantId, runId] = [tag?.['@tenant'], tag?.['@run']];
  return typeof tenantId === 'string' && typeof runId === 'string' ? { tenantId, runId } : null;
}

/** What the definition and the host's kernel say of a way out; the kernel is asked where the bridge is on this host. */
async function uplinksOf(xml: string): Promise<string[]> {
  const network = networkIn(xml);
  const words = ['forward', 'ip', 'route'].filter((element) => element in network).map((element) => `<${element}>`);
  const bridge = bridgeOf(xml);
  if (bridge === undefined) return words;
  const addresses = await addressesOn(bridge);
  const members = await readdir(`/sys/class/net/${bridge}/brif`).catch(() => [] as string[]);
  const others: string[] = [];
  // A machine's card is a tap, which has these flags; whatever else is in the bridge leads somewhere.
  for (const member of members) if (!(await exists(`/sys/class/net/${member}/tun_flags`))) others.push(member);
  return [
    ...words,
    ...addresses.map((address) => `the host's address ${address} on ${bridge}`),
    ...others.map((member) => `${member} in bridge ${bridge}`),
  ];
}

/** By the kernel: Node leaves out an interface that has nothing plugged in. None where the bridge is on another host. */
async function addressesOn(bridge: string): Promise<string[]> {
  if (!(await exists(`/sys/class/net/${bridge}`))) return [];
  const what = `the addresses of ${bridge} cannot be read`;
  const text = await runNative(what, 'ip', ['-json', 'address', 'show', 'dev', bridge]);
  const links = JSON.parse(text) as { addr_info?: { local?: string }[] }[];
  return links.flatMap(({ addr_info: found = [] }) => found.flatMap(({ local }) => local ?? []));
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

function bridgeOf(xml: string): string | undefined {
  const name = (networkIn(xml)['bridge'] as Element | undefined)?.['@name'];
  return typeof name === 'string' ? name : undefined;
}

async function pluggedCards(
  host: Host,
  options: CallOptions,
): Promise<{ machine: string; macAddress: string; network: string }[]> {
  const cards: { machine: string; macAddress: string; network: string }[] = [];
  for (const { machine, networkSources } of await readDomains(host, options)) {
    for (const [at, network] of networkSources.entries()) {
      const macAddress = machine.nics[at]?.macAddress;
      if (macAddress !== undefined) cards.push({ machine: machine.name, macAddress, network });
    }
  }
  return cards;
}

const onNetwork = <T>(host: Host, name: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> =>
  withFileLock(`libvirt-network ${host.virsh.uri} ${name}`, work, signal);

export async function createNetwork(host: Host, ref: NetworkRef, options: CallOptions = {}): Promise<void> {
  await onNetwork(
    host,
    ref.name,
    async () => {
      const there = await requireOwnOrNone(host, ref, options);
      const what = `network ${ref.name} cannot be made`;
      if (there === undefined) {
        await host.virsh.run(what, ['net-define', xmlFile], { ...options, xml: networkXml(ref) });
      }
      if (there?.active === true) return;
      await host.virsh.run(what, ['net-start', '--network', ref.name], options).catch((error: unknown) => {
        throw isForbidden(error) ? noBridges(ref, error) : error;
      });
    },
    options.signal,
  );
}

/** The run's own network; undefined when the name is free. */
async function requireOwnOrNone(host: Host, ref: NetworkRef, options: CallOptions): Promise<NetworkFound | undefined> {
  const there = (await allNetworks(host, options)).find(({ name }) => name === ref.name);
  const taken = there !== undefined && !sameOwner(there.owner, ref.owner);
  if (!taken && !(ref.name in host.networks)) return there;
  throw new OperatorError({
    what: `the network name ${ref.name} is taken`,
    found: there?.owner ? `a network of run ${there.owner.runId}` : 'a network that Muster did not make',
    needed: 'a free name, or the network of this run',
    remedy: 'Look whose it is (virsh net-dumpxml); rename or remove it, then retry.',
  });
}

const isForbidden = (error: unknown): boolean =>
  isMusterError(error) && /bridge|Operation not permitted|Operation not supported/i.test(error.facts.detail ?? '');

function noBridges({ name }: NetworkRef, cause: unknown): OperatorError {
  return new OperatorError(
    {
      what: `this host cannot make network ${name}`,
      found: isMusterError(cause) ? cause.facts.found : String(cause),
      needed: 'the right of libvirt to make bridges (CAP_NET_ADMIN and the kernel’s bridge module)',
      remedy:
        'Give libvirt that right, then retry; or rehearse on a network of the configuration that is isolated, such as one of kind "unplugged": `muster retry RUN --from create-machine --set networks=SOURCE=TARGET --reason …`.',
    },
    { cause },
  );
}

export async function removeNetwork(host: Host, ref: NetworkRef, options: CallOptions = {}): Promise<void> {
  await onNetwork(
    host,
    ref.name,
    async () => {
      const there = (await allNetworks(host, options)).find(({ name }) => name === ref.name);
      if (there === undefined) return;
      await requireOwnOrNone(host, ref, options);
      const names = [ref.name, bridgeOf(there.xml)];
      const plugged = (await pluggedCards(host, options)).filter(({ network }) => names.includes(network));
      if (plugged.length > 0) throw stillPlugged(ref, [...new Set(plugged.map(({ machine }) => machine))]);
      const what = `network ${ref.name} cannot be removed`;
      if (there.active) await host.virsh.run(what, ['net-destroy', '--network', ref.name], options);
      await host.virsh.run(what, ['net-undefine', '--network', ref.name], options);
    },
    options.signal,
  );
}

function stillPlugged({ name }: Pick<NetworkRef, 'name'>, machines: readonly string[]): OperatorError {
  return new OperatorError({
    what: `network ${name} cannot be removed`,
    found: `${machines.join(', ')} plugged into it`,
    needed: 'a network that no machine uses',
    remedy: 'Remove those machines, or unplug them; then retry.',
  });
}

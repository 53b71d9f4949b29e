/** Which way this system configures its network, and what its files have to be for the new addresses. Changes nothing. */
import { PermanentError } from '../../../model/errors';
import type { NicSpec } from '../../../model/server';
import type { CardAddress } from '../../contract';
import type { GuestFiles } from '../../guest-files';
import { headline, notUnderstood, type Card, type Rewrite, type Texts } from './contract';
import { ifcfgNames, isIfcfgFile, rewriteIfcfg } from './ifcfg';
import { ifupdownNames, rewriteIfupdown } from './ifupdown';
import { netplanNames, isNetplanFile, rewriteNetplan } from './netplan';
import { rewriteNetworkManager } from './network-manager';
import { isNetworkdFile, rewriteNetworkd } from './networkd';

export interface AddressPlan {
  readonly way: string;
  /** path -> content, of files that differ. */
  readonly files: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}

/** Everything that may say something about addresses. */
const folders: readonly (readonly [string, RegExp])[] = [
  ['/etc/network/interfaces.d', /^[A-Za-z0-9_.-]+$/],
  ['/etc/netplan', /\.ya?ml$/],
  ['/etc/systemd/network', /\.network$/],
  ['/etc/NetworkManager/system-connections', /^[^.].*$/],
  ['/etc/sysconfig/network-scripts', /^(ifcfg|route6?)-/],
];
const maxFiles = 200;

/** @throws PermanentError naming the file, when it is not understood; nothing was written then. */
export async function planAddresses(
  files: GuestFiles,
  addresses: readonly CardAddress[],
  nics: readonly NicSpec[],
): Promise<AddressPlan> {
  const texts = await readTexts(files);
  const way = await wayOf(files, texts);
  const cards = addresses.map((address): Card => ({ ...address, name: nameOf(way.names(texts), address, nics) }));
  let now: Texts = texts;
  for (const card of cards) now = new Map([...now, ...way.rewrite(now, card)]);
  const others = await otherFiles(files, way.name, cards);
  const wanted = new Map([...now, ...others.files]);
  const before = new Map([...texts, ...others.before]);
  const differing = [...wanted].filter(([path, text]) => before.get(path) !== text);
  return { way: way.name, files: new Map(differing), warnings: others.warnings };
}

async function readTexts(files: GuestFiles): Promise<Map<string, string>> {
  const paths = ['/etc/network/interfaces'];
  for (const [folder, pattern] of folders) {
    const names = await files.names(folder);
    paths.push(
      ...names.filter((name) => pattern.test(name) && !name.startsWith('.')).map((name) => `${folder}/${name}`),
    );
  }
  if (paths.length > maxFiles) throw notUnderstood('/etc', `${paths.length} files that configure the network`);
  const texts = new Map<string, string>();
  for (const path of paths) {
    const text = await files.text(path);
    if (text !== null) texts.set(path, text);
  }
  return texts;
}

interface Way {
  readonly name: 'netplan' | 'ifupdown' | 'systemd-networkd' | 'NetworkManager' | 'ifcfg';
  readonly rewrite: Rewrite;
  /** Names of cards that its files go by; empty where it goes by addresses. */
  readonly names: (texts: Texts) => string[];
}

const byAddress = (): string[] => [];

async function wayOf(files: GuestFiles, texts: Texts): Promise<Way> {
  const has = (test: (path: string) => boolean) => [...texts.keys()].some(test);
  const enabled = await files.names('/etc/systemd/system/multi-user.target.wants');
  const netplan = has(isNetplanFile);
  const ifupdown = ifupdownNames(texts).length > 0;
  const networkd = enabled.includes('systemd-networkd.service') && has(isNetworkdFile) && !netplan;
  if (ifupdown && (networkd || netplan)) {
    const other = [...texts.keys()].find((path) => (netplan ? isNetplanFile(path) : isNetworkdFile(path)))!;
    throw notUnderstood('/etc/network/interfaces', `${other} configures cards, too`);
  }
  if (netplan) return { name: 'netplan', rewrite: rewriteNetplan, names: netplanNames };
  if (ifupdown) return { name: 'ifupdown', rewrite: rewriteIfupdown, names: ifupdownNames };
  if (networkd) return { name: 'systemd-networkd', rewrite: rewriteNetworkd, names: byAddress };
  if (has((path) => isIfcfgFile(path) && !path.endsWith('/ifcfg-lo'))) {
    return { name: 'ifcfg', rewrite: rewriteIfcfg, names: ifcfgNames };
  }
  if (enabled.includes('NetworkManager.service')) {
    return { name: 'NetworkManager', rewrite: rewriteNetworkManager, names: byAddress };
  }
  throw new PermanentError({
    what: 'the network of this system cannot be re-addressed',
    found: 'none of netplan, ifupdown, systemd-networkd, NetworkManager and ifcfg files in use',
    needed: 'one of them, with a configuration for its cards',
    remedy: 'Take the addresses out of the runbook and set them by a script after power-on, or skip this step.',
  });
}

/** The n-th name in natural order is the n-th card: so the names came about, and so inoculation keeps them. */
function nameOf(names: readonly string[], { macAddress }: CardAddress, nics: readonly NicSpec[]): string | null {
  const cards = [...nics].sort((a, b) => a.index - b.index);
  const at = cards.findIndex((card) => card.macAddress.toLowerCase() === macAddress.toLowerCase());
  const sorted = [...names].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  return sorted.length === cards.length && at !== -1 ? sorted[at]! : null;
}

interface OtherFiles {
  readonly files: Map<string, string>;
  readonly before: Map<string, string>;
  readonly warnings: readonly string[];
}

const cloudPath = '/etc/cloud/cloud.cfg.d/99-muster-network.cfg';
const resolvPath = '/etc/resolv.conf';

/** cloud-init must not write its own configuration over this one; resolv.conf is a plain file where nobody keeps it. */
async function otherFiles(files: GuestFiles, way: Way['name'], cards: readonly Card[]): Promise<OtherFiles> {
  const wanted = new Map<string, string>();
  const before = new Map<string, string>();
  const add = async (path: string, text: string): Promise<void> => {
    const now = await files.text(path);
    if (now !== null) before.set(path, now);
    wanted.set(path, text);
  };
  if (await files.isFile('/etc/cloud/cloud.cfg'))
    await add(cloudPath, `# ${headline}\nnetwork: { config: disabled }\n`);
  const servers = [...new Set(cards.flatMap(({ dns }) => dns))];
  if (servers.length === 0 || !(await keepsPlainResolv(files, way))) return { files: wanted, before, warnings: [] };
  const text = await files.text(resolvPath);
  if (text === null) {
    return {
      files: wanted,
      before,
      warnings: [`${resolvPath} is no file: name servers ${servers.join(', ')} not set`],
    };
  }
  const rest = text.split('\n').filter((line) => line.trim() !== '' && !/^\s*nameserver\s/.test(line));
  await add(resolvPath, [...rest, ...servers.map((server) => `nameserver ${server}`), ''].join('\n'));
  return { files: wanted, before, warnings: [] };
}

/** Nobody in the guest writes the name servers that its network configuration names into resolv.conf. */
async function keepsPlainResolv(files: GuestFiles, way: Way['name']): Promise<boolean> {
  if (way === 'NetworkManager' || way === 'ifcfg') return false;
  const system = '/etc/systemd/system';
  const resolved =
    (await files.names(system)).includes('dbus-org.freedesktop.resolve1.service') ||
    (await files.names(`${system}/sysinit.target.wants`)).includes('systemd-resolved.service') ||
    (await files.names(`${system}/multi-user.target.wants`)).includes('systemd-resolved.service');
  const resolvconf = (await files.isFile('/sbin/resolvconf')) || (await files.isFile('/usr/sbin/resolvconf'));
  return !resolved && !(way === 'ifupdown' && resolvconf);
}

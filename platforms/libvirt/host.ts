/** One libvirt connection with its configuration, and how a machine is found on it. */
import { randomUUID } from 'node:crypto';
import { runNative, type Virsh } from './virsh';
import { parseDomain, type Domain } from './domain-parse';
import type { LibvirtNetwork } from './domain-xml';
import { OperatorError } from '../../model/errors';
import { fewAtOnce } from '../../model/few-at-once';
import type { SiteId } from '../../model/server';
import { withFileLock } from '../file-lock';
import { requireMachineName } from '../names';
import { sameOwner } from '../owners';
import type { CallOptions, MachineRef } from '../contract';

/** Programs that ask libvirt at the same time for one answer. */
export const askedAtOnce = 4;

export interface Host {
  readonly id: SiteId;
  readonly virsh: Virsh;
  /** Folder for console logs and the cached answer about acceleration; libvirt's daemon writes into it. */
  readonly consoleFolder: string;
  readonly networks: Readonly<Record<string, LibvirtNetwork>>;
  /** Decides kvm or tcg; given for hosts where the answer is known. */
  readonly acceleration: () => Promise<'kvm' | 'tcg'>;
}

/**
 * Uuid of the machine of that name. Looked up in the list, because virsh itself takes `7` for a domain's number and a
 * name that looks like a uuid for one.
 */
export async function uuidOf(host: Host, name: string, options: CallOptions = {}): Promise<string | undefined> {
  return (await namesByUuid(host, options)).find((entry) => entry.name === name)?.uuid;
}

export async function namesByUuid(host: Host, options: CallOptions = {}): Promise<{ uuid: string; name: string }[]> {
  const text = await host.virsh.run('machines cannot be listed', ['list', '--all', '--uuid', '--name'], options);
  return parseList(text);
}

/** Lines of `virsh list --uuid --name`: the uuid, blanks, and the name, which may have blanks in it. */
export function parseList(text: string): { uuid: string; name: string }[] {
  return text
    .split('\n')
    .map((line) => /^([0-9a-f-]{36})\s+(.+?)\s*$/.exec(line))
    .filter((match) => match !== null)
    .map((match) => ({ uuid: match[1]!, name: match[2]! }));
}

/** The domain as libvirt describes it now; undefined when it is gone. */
export async function readDomain(host: Host, uuid: string, options: CallOptions = {}): Promise<Domain | undefined> {
  const what = `machine ${uuid} cannot be read`;
  try {
    const [xml, state] = await Promise.all([
      host.virsh.run(what, ['dumpxml', uuid], options),
      host.virsh.run(what, ['domstate', uuid], options),
    ]);
    return parseDomain(xml, state, configuredNames(host.networks));
  } catch (error) {
    if (isUnknownDomain(error)) return undefined;
    throw error;
  }
}

/** Machines that one program is asked about: starting it costs more than what it asks (20 ms against 0.5 ms, measured). */
const askedOfOne = 50;

/** Every domain as libvirt describes it now, in the order of its list; one that goes meanwhile is left out. */
export async function readDomains(host: Host, options: CallOptions = {}): Promise<Domain[]> {
  const uuids = (await namesByUuid(host, options)).map(({ uuid }) => uuid);
  const starts = Array.from({ length: Math.ceil(uuids.length / askedOfOne) }, (_, at) => at * askedOfOne);
  const found = await fewAtOnce(starts, askedAtOnce, (at) => readSome(host, uuids.slice(at, at + askedOfOne), options));
  return found.flat();
}

async function readSome(host: Host, uuids: readonly string[], options: CallOptions): Promise<Domain[]> {
  // Ends each answer; whoever writes into a definition cannot know it. A command that fails leaves its answer empty.
  const end = randomUUID();
  const commands = uuids.flatMap((uuid) => [`dumpxml ${uuid}`, `echo ${end}`, `domstate ${uuid}`, `echo ${end}`]);
  const answers = (await host.virsh.run('machines cannot be read', [commands.join('; ')], options)).split(end);
  const domains: Domain[] = [];
  for (const [at, uuid] of uuids.entries()) {
    const [xml = '', state = ''] = answers.slice(2 * at, 2 * at + 2);
    const isWhole = xml.trim() !== '' && state.trim() !== '';
    // Alone it is gone, or says why it cannot be read.
    const domain = isWhole
      ? parseDomain(xml, state, configuredNames(host.networks))
      : await readDomain(host, uuid, options);
    if (domain) domains.push(domain);
  }
  return domains;
}

/** The domain of that name. @throws OperatorError when there is none. */
export async function requireDomain(host: Host, name: string, options: CallOptions = {}): Promise<Domain> {
  requireMachineName(name);
  const uuid = await uuidOf(host, name, options);
  const domain = uuid === undefined ? undefined : await readDomain(host, uuid, options);
  if (domain) return domain;
  throw new OperatorError({
    what: `there is no machine ${name} at site ${host.id}`,
    needed: 'the machine that the run created',
    remedy: 'Look whether somebody removed or renamed it (virsh list --all).',
  });
}

/** The caller's own machine. @throws OperatorError when it is unknown or somebody else's. */
export async function requireOwnDomain(host: Host, ref: MachineRef, options: CallOptions = {}): Promise<Domain> {
  const domain = await requireDomain(host, ref.name, options);
  requireOwn(domain, ref);
  return domain;
}

export function requireOwn(domain: Domain, ref: MachineRef): void {
  const { owner, name } = domain.machine;
  if (sameOwner(owner, ref.owner) || (owner === null && ref.owner === null)) return;
  throw new OperatorError({
    what: `the name ${name} is taken`,
    found: owner ? `a machine of run ${owner.runId}` : 'a machine that Muster did not make for this run',
    needed: 'a free name, or the machine of this run',
    remedy: 'Choose another name (provide machineName), or remove or rename that machine, then retry.',
  });
}

/** What changes one machine takes turns, in all processes of this host: libvirt's define and attach overwrite each other. */
export function onMachine<T>(host: Host, name: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  return withFileLock(`libvirt ${host.virsh.uri} ${name}`, work, signal);
}

export function isUnknownDomain(error: unknown): boolean {
  const detail = (error as { facts?: { detail?: string } }).facts?.detail ?? '';
  return /Domain not found|no domain with matching|failed to get domain/i.test(detail);
}

/** libvirt's name of a network -> its name in Muster's configuration. */
function configuredNames(networks: Host['networks']): Record<string, string> {
  const names: Record<string, string> = {};
  for (const [name, network] of Object.entries(networks)) {
    names[network.kind === 'network' ? network.name : 'user'] ??= name;
  }
  return names;
}

/** What QEMU's tools read in an image's header, also while a machine has it open; undefined when there is no such file. */
export async function readImage(
  path: string,
  options: CallOptions = {},
): Promise<{ sizeBytes: number; format: string } | undefined> {
  const args = ['info', '--force-share', '--output=json', '--', path];
  try {
    const info = JSON.parse(await runNative(`disk ${path} cannot be read`, 'qemu-img', args, options)) as {
      'virtual-size': number;
      format: string;
    };
    return { sizeBytes: info['virtual-size'], format: info.format };
  } catch (error) {
    options.signal?.throwIfAborted();
    if (/No such file or directory/.test((error as { facts?: { detail?: string } }).facts?.detail ?? ''))
      return undefined;
    throw error;
  }
}

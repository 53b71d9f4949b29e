/** Creating, removing and reading machines of a libvirt host. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { OperatorError } from '../../model/errors';
import type { CallOptions, Machine, MachineRef, MachineSpec } from '../contract';
import { requireMachineName } from '../names';
import { execInGuest } from './agent';
import type { Domain } from './domain-parse';
import { domainXml } from './domain-xml';
import { allNetworks } from './networks';
import {
  isUnknownDomain,
  namesByUuid,
  onMachine,
  readDomain,
  readDomains,
  readImage,
  requireOwn,
  uuidOf,
  type Host,
} from './host';
import { xmlFile } from './virsh';

/** By a few programs, however many there are. */
export async function list(host: Host, options: CallOptions = {}): Promise<Machine[]> {
  return (await readDomains(host, options)).map(({ machine }) => machine);
}

export async function find(host: Host, name: string, options: CallOptions = {}): Promise<Machine | undefined> {
  const uuid = await uuidOf(host, name, options);
  const domain = uuid === undefined ? undefined : await readDomain(host, uuid, options);
  if (!domain) return undefined;
  const machine = await withSizes(domain.machine, options);
  return { ...machine, bootId: await bootIdOf(host, domain, options) };
}

async function withSizes(machine: Machine, options: CallOptions): Promise<Machine> {
  const disks = [];
  for (const disk of machine.disks) {
    const image = disk.path === '' ? undefined : await readImage(disk.path, options).catch(() => undefined);
    options.signal?.throwIfAborted();
    disks.push({ ...disk, sizeBytes: image?.sizeBytes ?? 0 });
  }
  return { ...machine, disks };
}

const bootIdTimeoutMs = 10_000;

/**
 * The guest kernel's own boot id, which changes with every boot, also with those that libvirt does not see (a reset by
 * the guest keeps QEMU's process). Null until the guest's agent answers.
 */
async function bootIdOf(host: Host, domain: Domain, options: CallOptions): Promise<string | null> {
  const { name, uuid, power } = domain.machine;
  if (power !== 'on' || !domain.agentConnected) return null;
  const command = { path: '/bin/cat', args: ['/proc/sys/kernel/random/boot_id'], timeoutMs: bootIdTimeoutMs };
  const answer = await execInGuest(host, uuid, name, command, options).catch(() => undefined);
  options.signal?.throwIfAborted();
  return answer?.exitCode === 0 && answer.stdout.trim() !== '' ? answer.stdout.trim() : null;
}

export async function create(host: Host, spec: MachineSpec, options: CallOptions = {}): Promise<Machine> {
  requireMachineName(spec.name);
  return onMachine(
    host,
    spec.name,
    async () => {
      const there = await existing(host, spec, options);
      if (there) return withSizes(there.machine, options);
      const acceleration = await host.acceleration();
      await mkdir(host.consoleFolder, { recursive: true });
      const consoleFile = consoleFileOf(host, spec.uuid);
      const networks = await networksFor(host, spec, options);
      const xml = domainXml(spec, { acceleration, consoleFile, networks });
      await requireNetworks({ ...host, networks }, spec, options);
      await host.virsh.run(`${spec.name} cannot be created`, ['define', xmlFile], { ...options, xml });
      const made = await readDomain(host, spec.uuid, options);
      if (made) return made.machine;
      throw new OperatorError({
        what: `${spec.name} was created and is gone`,
        remedy: 'Look who removed it, then retry.',
      });
    },
    options.signal,
  );
}

const consoleFileOf = (host: Host, uuid: string): string => join(host.consoleFolder, `${uuid}.console.log`);

/** The run's own machine; undefined when name and uuid are free. `virsh define` would overwrite what it meets. */
async function existing(host: Host, spec: MachineSpec, options: CallOptions): Promise<Domain | undefined> {
  const entry = (await namesByUuid(host, options)).find(({ name, uuid }) => name === spec.name || uuid === spec.uuid);
  const domain = entry && (await readDomain(host, entry.uuid, options));
  if (!domain) return undefined;
  requireOwn(domain, spec);
  if (domain.machine.name === spec.name) return domain;
  throw new OperatorError({
    what: `${spec.name} cannot be created`,
    found: `its uuid ${spec.uuid} on machine ${domain.machine.name} of the same run`,
    needed: 'a free uuid',
    remedy: `Remove ${domain.machine.name} first, then retry.`,
  });
}

/** Those of the configuration, and those that Muster made for this tenant where the machine wants one. */
async function networksFor(host: Host, spec: MachineSpec, options: CallOptions): Promise<Host['networks']> {
  if (spec.nics.every(({ network }) => network in host.networks)) return host.networks;
  const made = (await allNetworks(host, options)).filter(({ owner }) => owner?.tenantId === spec.owner.tenantId);
  const byName = made.map(({ name }) => [name, { kind: 'network', name }] as const);
  return { ...Object.fromEntries(byName), ...host.networks };
}

/** libvirt finds out at power-on only that a network does not exist; that is too late for whoever could correct it. */
async function requireNetworks(host: Host, spec: MachineSpec, options: CallOptions): Promise<void> {
  for (const nic of spec.nics) {
    const network = host.networks[nic.network];
    if (network?.kind !== 'network') continue;
    await host.virsh.run(`NIC ${nic.index} of ${spec.name} cannot be connected`, ['net-uuid', network.name], options);
  }
}

export async function remove(host: Host, ref: MachineRef, options: CallOptions = {}): Promise<void> {
  await onMachine(
    host,
    ref.name,
    async () => {
      const uuid = await uuidOf(host, ref.name, options);
      const domain = uuid === undefined ? undefined : await readDomain(host, uuid, options);
      if (!domain) return;
      requireOwn(domain, ref);
      if (domain.machine.power !== 'off') {
        throw new OperatorError({
          what: `${ref.name} cannot be removed`,
          found: `it is ${domain.machine.power}`,
          needed: 'a machine that is off',
          remedy: 'Switch it off first, then retry.',
        });
      }
      await host.virsh
        .run(`${ref.name} cannot be removed`, removeArgs(domain.machine.uuid), options)
        .catch((error: unknown) => {
          if (!isUnknownDomain(error)) throw error;
        });
      await rm(consoleFileOf(host, domain.machine.uuid), { force: true });
    },
    options.signal,
  );
}

/** Definition, firmware variables and metadata about snapshots and checkpoints; never a disk. */
export function removeArgs(uuid: string): string[] {
  return ['undefine', uuid, '--nvram', '--checkpoints-metadata', '--snapshots-metadata', '--managed-save'];
}

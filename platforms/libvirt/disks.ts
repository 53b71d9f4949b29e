/** Disks of a libvirt machine in its definition and in libvirt's storage inventory. */
import { createHash } from 'node:crypto';
import { basename, dirname } from 'node:path';
import { XMLParser } from 'fast-xml-parser';
import { OperatorError, PermanentError, isMusterError } from '../../model/errors';
import type { CallOptions, MachineDisk, MachineRef } from '../contract';
import { withFileLock } from '../file-lock';
import { diskXml, poolXml } from './domain-xml';
import { onMachine, readDomain, readImage, requireOwn, requireOwnDomain, uuidOf, type Host } from './host';
import { xmlFile } from './virsh';

export async function attachDisk(host: Host, ref: MachineRef, disk: MachineDisk, options: CallOptions = {}) {
  await onMachine(
    host,
    ref.name,
    async () => {
      const domain = await requireOwnDomain(host, ref, options);
      const { machine, diskController } = domain;
      const there = machine.disks.find((other) => other.index === disk.index);
      if (there?.path === disk.path) return;
      const elsewhere = machine.disks.find((other) => other.path === disk.path);
      if (there || elsewhere) {
        throw new OperatorError({
          what: `disk ${disk.index} of ${ref.name} cannot be attached`,
          found: there ? `${there.path} at this place` : `${disk.path} at place ${elsewhere?.index}`,
          needed: `a free place for ${disk.path}`,
          remedy: 'Detach the other disk first, then retry.',
        });
      }
      await requireFile(disk, options);
      const live = machine.power === 'off' ? [] : ['--live'];
      await host.virsh.run(
        `disk ${disk.index} of ${ref.name} cannot be attached`,
        ['attach-device', machine.uuid, xmlFile, '--config', ...live],
        { ...options, xml: diskXml(disk, diskController) },
      );
    },
    options.signal,
  );
}

export async function detachDisk(host: Host, ref: MachineRef, disk: MachineDisk, options: CallOptions = {}) {
  await onMachine(
    host,
    ref.name,
    async () => {
      const uuid = await uuidOf(host, ref.name, options);
      const domain = uuid === undefined ? undefined : await readDomain(host, uuid, options);
      if (!domain) return;
      requireOwn(domain, ref);
      const { machine, diskController } = domain;
      const there = machine.disks.find((other) => other.path === disk.path);
      if (!there) return;
      if (machine.power !== 'off') {
        throw new OperatorError({
          what: `disk ${disk.index} of ${ref.name} cannot be detached`,
          found: `the machine is ${machine.power}`,
          needed: 'a machine that is off',
          remedy: 'Switch it off first, then retry.',
        });
      }
      await host.virsh.run(
        `disk ${disk.index} of ${ref.name} cannot be detached`,
        ['detach-device', machine.uuid, xmlFile, '--config'],
        { ...options, xml: diskXml({ ...disk, index: there.index }, diskController) },
      );
    },
    options.signal,
  );
}

const poolReader = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '@', parseTagValue: false });

/**
 * A transient storage pool over the disk's folder, unless some pool has that folder already; then what libvirt itself
 * reads from the volume.
 */
export async function registerDisk(host: Host, ref: MachineRef, disk: MachineDisk, options: CallOptions = {}) {
  await requireOwnDomain(host, ref, options);
  await requireFile(disk, options);
  const folder = dirname(disk.path);
  return onFolder(host, folder, options, async () => {
    const what = `disk ${disk.index} of ${ref.name} cannot be registered`;
    const pool = (await poolOf(host, folder, options)) ?? (await makePool(host, folder, what, options));
    await host.virsh.run(what, ['pool-refresh', pool], options);
    const xml = await host.virsh.run(what, ['vol-dumpxml', '--pool', pool, '--vol', basename(disk.path)], options);
    return parseVolume(xml);
  });
}

/** Ends the pool that registerDisk made. Folders are per run, so a sister disk's undo, coming next, finds it done. */
export async function unregisterDisk(host: Host, ref: MachineRef, disk: MachineDisk, options: CallOptions = {}) {
  const uuid = await uuidOf(host, ref.name, options);
  const domain = uuid === undefined ? undefined : await readDomain(host, uuid, options);
  if (domain) requireOwn(domain, ref);
  const folder = dirname(disk.path);
  await onFolder(host, folder, options, async () => {
    const pools = await poolNames(host, options);
    if (!pools.includes(poolNameFor(folder))) return;
    await host.virsh.run(
      `disk ${disk.index} of ${ref.name} cannot be unregistered`,
      ['pool-destroy', poolNameFor(folder)],
      options,
    );
  });
}

export function parseVolume(xml: string): { sizeBytes: number; format: string } {
  const volume = (poolReader.parse(xml) as { volume?: VolumeElement }).volume;
  const capacity = volume?.capacity;
  const sizeBytes = Number(typeof capacity === 'object' ? capacity['#text'] : capacity);
  const format = volume?.target?.format?.['@type'];
  if (Number.isFinite(sizeBytes) && format) return { sizeBytes, format };
  throw new PermanentError({ what: 'libvirt described a volume in a way that Muster cannot read', detail: xml });
}

interface VolumeElement {
  readonly capacity?: string | { readonly '#text': string };
  readonly target?: { readonly format?: { readonly '@type': string } };
}

function onFolder<T>(host: Host, folder: string, options: CallOptions, work: () => Promise<T>): Promise<T> {
  return withFileLock(`libvirt-pool ${host.virsh.uri} ${folder}`, work, options.signal);
}

async function makePool(host: Host, folder: string, what: string, options: CallOptions): Promise<string> {
  const name = poolNameFor(folder);
  await host.virsh.run(what, ['pool-create', xmlFile], { ...options, xml: poolXml(name, folder) });
  return name;
}

/** Name of an active pool over that folder: two pools cannot share one. */
async function poolOf(host: Host, folder: string, options: CallOptions): Promise<string | undefined> {
  for (const name of await poolNames(host, options)) {
    const xml = await host.virsh
      .run(`pool ${name} cannot be read`, ['pool-dumpxml', name], options)
      .catch((error: unknown) => {
        if (isMusterError(error) && /pool not found/i.test(error.facts.detail ?? '')) return '';
        throw error;
      });
    const pool = (poolReader.parse(xml) as { pool?: { target?: { path?: string } } }).pool;
    if (pool?.target?.path === folder) return name;
  }
  return undefined;
}

async function poolNames(host: Host, options: CallOptions): Promise<string[]> {
  const text = await host.virsh.run('storage pools cannot be listed', ['pool-list', '--name'], options);
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

export function poolNameFor(folder: string): string {
  return `muster-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`;
}

async function requireFile(disk: MachineDisk, options: CallOptions): Promise<void> {
  if (await readImage(disk.path, options)) return;
  throw new PermanentError({
    what: `disk ${disk.path} cannot be used`,
    found: 'no such file',
    needed: 'the file that the replica handed over',
    remedy: 'Go back to the step that takes the disks.',
  });
}

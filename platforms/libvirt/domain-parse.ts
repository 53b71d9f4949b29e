/** Reads what libvirt says about a domain. Pure; `dumpxml` of any domain, also of other people's. */
import { XMLParser } from 'fast-xml-parser';
import { PermanentError } from '../../model/errors';
import { diskControllers, hardwareProfiles, nicModels, type DiskController, type NicModel } from '../../model/server';
import type { Machine, PowerState } from '../contract';
import { indexOfDevice } from './domain-xml';

type Element = { readonly [key: string]: unknown };

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: true,
  isArray: (name) => ['disk', 'interface', 'controller', 'channel', 'serial', 'console', 'muster:nic'].includes(name),
});

export interface Domain {
  readonly machine: Machine;
  /** The profile that Muster built it with; null on other people's machines. */
  readonly hardwareId: string | null;
  readonly diskController: DiskController;
  readonly agentConnected: boolean;
  readonly consoleFile: string | null;
  /** `network` -> how often a NIC of this machine is on it (libvirt's name, or `user`). */
  readonly networkSources: readonly string[];
}

/** @throws PermanentError when the text is not a domain. */
export function parseDomain(xml: string, state: string, networkNames: Readonly<Record<string, string>>): Domain {
  const domain = child(elementIn(xml), 'domain');
  const devices = child(domain, 'devices');
  if (!domain || text(domain['uuid']) === '') {
    throw new PermanentError({
      what: 'libvirt described a machine in a way that Muster cannot read',
      detail: xml.slice(0, 4096),
    });
  }
  const tag = child(child(domain, 'metadata'), 'muster:machine');
  const scsiModel = list(devices, 'controller').find((controller) => text(controller['@type']) === 'scsi')?.['@model'];
  const disks = list(devices, 'disk').filter((disk) => ['disk', ''].includes(text(disk['@device'])));
  const machine: Machine = {
    name: text(domain['name']),
    uuid: text(domain['uuid']),
    owner: tag ? { tenantId: text(tag['@tenant']), runId: text(tag['@run']) } : null,
    power: powerOf(state),
    cpuCount: Number(text(domain['vcpu']) || '1'),
    memoryBytes: memoryBytes(domain),
    firmware: isUefi(domain) ? 'uefi' : 'bios',
    disks: disks.map((disk) => diskOf(disk, text(scsiModel))).sort((a, b) => a.index - b.index),
    nics: list(devices, 'interface').map((nic, index) => ({
      index,
      macAddress: text(child(nic, 'mac')?.['@address']).toLowerCase(),
      model: oneOf<NicModel>(nicModels, text(child(nic, 'model')?.['@type']), 'e1000'),
      network: networkOf(nic, index, tag, networkNames),
    })),
    bootId: null,
  };
  return {
    machine,
    hardwareId: tag ? text(tag['@hardware']) : null,
    diskController: hardwareProfiles[text(tag?.['@hardware'])]?.diskController ?? controllerOf(devices, machine),
    agentConnected: list(devices, 'channel').some((channel) => isConnectedAgent(child(channel, 'target'))),
    consoleFile: consoleFileOf(devices),
    networkSources: list(devices, 'interface').map(sourceOf),
  };
}

/** Undefined for what is no XML. */
function elementIn(xml: string): Element | undefined {
  try {
    return parser.parse(xml) as Element;
  } catch {
    return undefined;
  }
}

function diskOf(disk: Element, scsiModel: string): Machine['disks'][number] {
  const target = child(disk, 'target');
  const source = child(disk, 'source');
  const device = text(target?.['@dev']);
  return {
    index: indexOfDevice(device),
    path: text(source?.['@file']) || text(source?.['@dev']) || text(source?.['@name']),
    format: text(child(disk, 'driver')?.['@type']) === 'qcow2' ? 'qcow2' : 'raw',
    sizeBytes: 0,
    controller: busController(text(target?.['@bus']), scsiModel),
    device,
  };
}

/** libvirt's models of SCSI controllers that a hardware profile has. */
const scsiControllers: Readonly<Record<string, DiskController>> = { vmpvscsi: 'pvscsi', lsisas1068: 'lsisas' };

function busController(bus: string, scsiModel: string): DiskController {
  if (bus === 'scsi') return scsiControllers[scsiModel] ?? 'virtio';
  if (bus === 'ide') return 'sata';
  return oneOf<DiskController>(diskControllers, bus, 'sata');
}

/** Of the disks when there are some; else of the controller that create put in for them. */
function controllerOf(devices: Element | undefined, machine: Machine): DiskController {
  const first = machine.disks[0];
  if (first) return first.controller;
  const controllers = list(devices, 'controller');
  const scsi = controllers.map((controller) => scsiControllers[text(controller['@model'])]).find((one) => one);
  if (scsi) return scsi;
  return controllers.some((controller) => text(controller['@type']) === 'sata') ? 'sata' : 'virtio';
}

function networkOf(
  nic: Element,
  index: number,
  tag: Element | undefined,
  networkNames: Readonly<Record<string, string>>,
): string {
  const noted = list(tag, 'muster:nic').find((candidate) => text(candidate['@index']) === String(index));
  if (noted) return text(noted['@network']);
  const source = sourceOf(nic);
  return networkNames[source] ?? source;
}

function sourceOf(nic: Element): string {
  const source = child(nic, 'source');
  return text(source?.['@network']) || text(source?.['@bridge']) || text(nic['@type']);
}

function powerOf(state: string): PowerState {
  const word = state.trim();
  if (word === 'paused' || word === 'pmsuspended') return 'paused';
  if (word === 'crashed') return 'crashed';
  return word === 'shut off' || word === '' ? 'off' : 'on';
}

function isUefi(domain: Element): boolean {
  const os = child(domain, 'os');
  const loader = os?.['loader'];
  return (
    text(os?.['@firmware']) === 'efi' || /OVMF|edk2|AAVMF/i.test(text(loader) || text((loader as Element)?.['#text']))
  );
}

function isConnectedAgent(target: Element | undefined): boolean {
  return text(target?.['@name']) === 'org.qemu.guest_agent.0' && text(target?.['@state']) === 'connected';
}

function consoleFileOf(devices: Element | undefined): string | null {
  for (const serial of [...list(devices, 'serial'), ...list(devices, 'console')]) {
    const logged = text(child(serial, 'log')?.['@file']);
    const file = text(serial['@type']) === 'file' ? text(child(serial, 'source')?.['@path']) : '';
    if (logged || file) return logged || file;
  }
  return null;
}

const unitBytes: Readonly<Record<string, number>> = {
  b: 1,
  bytes: 1,
  KiB: 1024,
  k: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

function memoryBytes(domain: Element): number {
  const memory = domain['memory'];
  const unit = typeof memory === 'object' ? text((memory as Element)['@unit']) : 'KiB';
  const amount = typeof memory === 'object' ? text((memory as Element)['#text']) : text(memory);
  return Number(amount) * (unitBytes[unit] ?? 1024);
}

function oneOf<T extends string>(known: readonly T[], value: string, otherwise: T): T {
  if (value.startsWith('virtio') && known.includes('virtio' as T)) return 'virtio' as T;
  return known.includes(value as T) ? (value as T) : otherwise;
}

function child(element: Element | undefined, name: string): Element | undefined {
  const value = element?.[name];
  return typeof value === 'object' && value !== null ? (value as Element) : undefined;
}

function list(element: Element | undefined, name: string): Element[] {
  const value = element?.[name];
  return Array.isArray(value) ? value.filter((item): item is Element => typeof item === 'object') : [];
}

function text(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'object' && value !== null && '#text' in value) return String(value['#text']);
  return '';
}

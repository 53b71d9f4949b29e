/**
 * The libvirt domain of a machine, as XML. Pure; golden files in test/platforms hold it.
 *
 * Source of the facts: libvirt's formatdomain.html (9.0). Chosen and run under TCG with QEMU 7.2:
 * - vmware-pvscsi on `pc` (i440FX, the chipset that VMware shows to a guest too), so that no AHCI is there to boot from;
 * - the others on q35, whose built-in ICH9 AHCI carries SATA disks.
 */
import { create } from 'xmlbuilder2';
import { assertNever, PermanentError } from '../../model/errors';
import type { DiskController, HardwareProfile } from '../../model/server';
import type { MachineDisk, MachineSpec, NetworkRef } from '../contract';

/** Muster's own namespace in a domain's metadata. */
export const musterNamespace = 'urn:muster:libvirt:1';

/** What a network of the configuration is on this host. */
export type LibvirtNetwork =
  /** QEMU's own user-mode network: the guest reaches out, nobody reaches in. */
  | { readonly kind: 'user' }
  /** A network that libvirt knows; isolated when it has no <forward>. */
  | { readonly kind: 'network'; readonly name: string }
  /** A cable that is plugged in nowhere: isolated on any host, without any right. */
  | { readonly kind: 'unplugged' };

export interface DomainChoices {
  readonly acceleration: 'kvm' | 'tcg';
  /** File that the serial console is written to. */
  readonly consoleFile: string;
  readonly networks: Readonly<Record<string, LibvirtNetwork>>;
}

export function domainXml(spec: MachineSpec, choices: DomainChoices): string {
  const kvm = choices.acceleration === 'kvm';
  return toXml({
    domain: {
      '@type': kvm ? 'kvm' : 'qemu',
      name: spec.name,
      uuid: spec.uuid,
      metadata: { 'muster:machine': ownerElement(spec) },
      memory: { '@unit': 'KiB', '#': Math.ceil(spec.memoryBytes / 1024) },
      vcpu: spec.cpuCount,
      os: {
        ...(spec.firmware === 'uefi' ? { '@firmware': 'efi' } : {}),
        type: { '@arch': 'x86_64', '@machine': machineType(spec.hardware), '#': 'hvm' },
        boot: { '@dev': 'hd' },
      },
      features: { acpi: {} },
      // TCG keeps QEMU's default model: `max` makes a guest use 5-level paging, which costs time there.
      ...(kvm ? { cpu: { '@mode': 'host-model' } } : {}),
      clock: { '@offset': 'utc' },
      on_poweroff: 'destroy',
      on_reboot: 'restart',
      on_crash: 'destroy',
      devices: {
        ...diskControllerElement(spec.hardware.diskController),
        interface: spec.nics.map((nic) => nicElement(spec, nic, choices.networks)),
        // append off: the file shows the boots since the machine was switched on, not those of an earlier life.
        serial: { '@type': 'pty', log: { '@file': choices.consoleFile, '@append': 'off' } },
        channel: { '@type': 'unix', target: { '@type': 'virtio', '@name': 'org.qemu.guest_agent.0' } },
        video: { model: { '@type': 'vga' } },
        memballoon: { '@model': 'none' },
        rng: { '@model': 'virtio', backend: { '@model': 'random', '#': '/dev/urandom' } },
      },
    },
  });
}

function ownerElement(spec: MachineSpec) {
  return {
    '@xmlns:muster': musterNamespace,
    '@tenant': spec.owner.tenantId,
    '@run': spec.owner.runId,
    '@hardware': spec.hardware.id,
    'muster:nic': spec.nics.map((nic) => ({ '@index': nic.index, '@network': nic.network })),
  };
}

function machineType(hardware: HardwareProfile): string {
  return hardware.diskController === 'pvscsi' || hardware.diskController === 'lsisas' ? 'pc' : 'q35';
}

function diskControllerElement(controller: DiskController) {
  switch (controller) {
    case 'pvscsi':
      return { controller: { '@type': 'scsi', '@index': 0, '@model': 'vmpvscsi' } };
    case 'lsisas':
      return { controller: { '@type': 'scsi', '@index': 0, '@model': 'lsisas1068' } };
    case 'sata':
      return { controller: { '@type': 'sata', '@index': 0 } };
    case 'virtio':
      return {};
    case 'nvme':
      throw new PermanentError({
        what: 'the machine cannot be built',
        found: 'disk controller nvme',
        needed: 'pvscsi, lsisas, sata or virtio: libvirt 9 gives a guest NVMe only by passing a whole device through',
        remedy: 'Choose another hardware profile.',
      });
    default:
      return assertNever(controller);
  }
}

function nicElement(spec: MachineSpec, nic: MachineSpec['nics'][number], networks: DomainChoices['networks']) {
  const network = networks[nic.network];
  if (!network) {
    throw new PermanentError({
      what: `NIC ${nic.index} of ${spec.name} cannot be connected`,
      found: `no network ${nic.network} in the configuration of this site`,
      needed: `one of ${Object.keys(networks).join(', ') || '(none is configured)'}`,
      remedy: 'Map the source network to one of them (provide networks).',
    });
  }
  return {
    '@type': network.kind === 'network' ? 'network' : 'user',
    mac: { '@address': nic.macAddress },
    ...(network.kind === 'network' ? { source: { '@network': network.name } } : {}),
    model: { '@type': spec.hardware.nicModel },
    ...(network.kind === 'unplugged' ? { link: { '@state': 'down' } } : {}),
  };
}

/** One disk of a domain, for attach-device and update-device. */
export function diskXml(disk: Pick<MachineDisk, 'index' | 'path' | 'format'>, controller: DiskController): string {
  return toXml({
    disk: {
      '@type': 'file',
      '@device': 'disk',
      driver: { '@name': 'qemu', '@type': disk.format, '@discard': 'unmap' },
      source: { '@file': disk.path },
      target: { '@dev': deviceFor(disk.index, controller), '@bus': busOf(controller) },
    },
  });
}

function busOf(controller: DiskController): 'sata' | 'scsi' | 'virtio' {
  if (controller === 'nvme') throw new PermanentError({ what: 'libvirt has no bus for nvme disks' });
  return controller === 'pvscsi' || controller === 'lsisas' ? 'scsi' : controller;
}

/** `sda`, `vdb`, …: the name under which libvirt knows the disk. */
export function deviceFor(index: number, controller: DiskController): string {
  return `${controller === 'virtio' ? 'vd' : 'sd'}${letters(index)}`;
}

/** 0 → a, 25 → z, 26 → aa: how Linux and libvirt count disks. */
export function letters(index: number): string {
  const last = String.fromCharCode(97 + (index % 26));
  return index < 26 ? last : `${letters(Math.floor(index / 26) - 1)}${last}`;
}

/** The other way round: `sdb` → 1. */
export function indexOfDevice(device: string): number {
  const name = device.replace(/^(sd|vd|hd|xvd)/, '');
  return [...name].reduce((sum, letter) => sum * 26 + letter.charCodeAt(0) - 96, 0) - 1;
}

/** A network without a way out: libvirt makes a bridge for it and names the bridge. */
export function networkXml({ name, owner }: NetworkRef): string {
  const tag = { '@xmlns:muster': musterNamespace, '@tenant': owner.tenantId, '@run': owner.runId };
  return toXml({ network: { name, metadata: { 'muster:network': tag }, bridge: { '@stp': 'on', '@delay': '0' } } });
}

/** A transient storage pool over a folder. */
export function poolXml(name: string, folder: string): string {
  return toXml({ pool: { '@type': 'dir', name, target: { path: folder } } });
}

/**
 * The tree as XML with every text taken literally. xmlbuilder2 (4.0.3) by itself does not: it decodes entities in what it
 * is given, and leaves what then looks like an entity unescaped; hence twice. The test with `&amp;` in a name holds it.
 */
function toXml(tree: object): string {
  return create(literal(tree) as object).end({ prettyPrint: true, headless: true });
}

function literal(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('&', '&amp;amp;');
  if (Array.isArray(value)) return value.map(literal);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, literal(item)]));
}

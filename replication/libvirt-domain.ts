/** What libvirt's description of a running machine says of what is to be protected. Pure: XML in, values out. */
import { XMLParser } from 'fast-xml-parser';
import { isMusterError, OperatorError, PermanentError } from '../model/errors';
import type { DiskController, DiskSpec, Firmware, NicModel, NicSpec } from '../model/server';

interface DomainXml {
  /** Of a machine that runs. */
  readonly id?: string;
  readonly memory: { '#text': string; unit?: string };
  readonly vcpu: string | { '#text': string };
  readonly os: { firmware?: string; loader?: unknown };
  readonly devices: {
    readonly disk?: readonly DiskXml[];
    readonly controller?: readonly { type: string; index: string; model?: string }[];
    readonly interface?: readonly NicXml[];
    readonly channel?: readonly { target?: { name?: string; state?: string } }[];
  };
}
interface DiskXml {
  readonly device?: string;
  readonly target: { dev: string; bus: string };
  readonly readonly?: unknown;
  readonly address?: { controller?: string };
}
interface NicXml {
  readonly type: string;
  readonly mac?: { address: string };
  readonly model?: { type: string };
  readonly source?: { network?: string; bridge?: string };
}

export interface Domain {
  /** libvirt's number of this start of the machine; null: it is off. */
  readonly start: string | null;
  /** What libvirt knows of the guest's agent; null: the machine has no channel for one, or is off. */
  readonly agent: 'connected' | 'disconnected' | null;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly firmware: Firmware;
  readonly disks: readonly Omit<DiskSpec, 'sizeBytes'>[];
  readonly nics: readonly NicSpec[];
}

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  isArray: (_name, path) =>
    ['disk', 'controller', 'interface', 'channel'].some((tag) => String(path) === `domain.devices.${tag}`),
});

/** @throws OperatorError when a disk or NIC is of a kind that Muster cannot protect, PermanentError for what is no domain. */
export function parseDomain(xml: string): Domain {
  try {
    return domainIn(xml);
  } catch (error) {
    if (isMusterError(error)) throw error;
    throw new PermanentError(
      { what: 'libvirt described a machine in a way that Muster cannot read', detail: xml.slice(0, 4096) },
      { cause: error },
    );
  }
}

function domainIn(xml: string): Domain {
  const { domain } = parser.parse(xml) as { domain: DomainXml };
  const disks = (domain.devices.disk ?? []).filter((disk) => (disk.device ?? 'disk') === 'disk');
  return {
    start: domain.id ?? null,
    agent: agentOf(domain),
    cpuCount: Number(typeof domain.vcpu === 'string' ? domain.vcpu : domain.vcpu['#text']),
    memoryBytes: memoryBytes(domain.memory),
    firmware: domain.os.firmware === 'efi' || /pflash/.test(JSON.stringify(domain.os.loader ?? '')) ? 'uefi' : 'bios',
    disks: disks.map((disk, index) => ({
      id: `disk${index}`,
      index,
      controller: controllerOf(disk, domain),
      sourceDevice: disk.target.dev,
    })),
    nics: (domain.devices.interface ?? []).map(nicOf),
  };
}

function agentOf({ devices }: DomainXml): Domain['agent'] {
  const state = devices.channel?.find(({ target }) => target?.name === 'org.qemu.guest_agent.0')?.target?.state;
  return state === 'connected' || state === 'disconnected' ? state : null;
}

function memoryBytes(memory: DomainXml['memory']): number {
  const units: Record<string, number> = { b: 1, bytes: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
  return Number(memory['#text']) * (units[memory.unit ?? 'KiB'] ?? 1024);
}

function controllerOf(disk: DiskXml, domain: DomainXml): DiskController {
  const { bus, dev } = disk.target;
  if (bus === 'sata' || bus === 'virtio' || bus === 'nvme') return bus;
  const controller = domain.devices.controller?.find(
    (entry) => entry.type === 'scsi' && entry.index === (disk.address?.controller ?? '0'),
  );
  if (bus === 'scsi' && controller?.model === 'vmpvscsi') return 'pvscsi';
  if (bus === 'scsi' && controller?.model === 'lsisas1068') return 'lsisas';
  throw new OperatorError({
    what: `disk ${dev} hangs on a controller that Muster does not know`,
    found: `${bus}${controller?.model === undefined ? '' : `, ${controller.model}`}`,
    needed: 'sata, virtio, nvme or scsi with vmpvscsi or lsisas1068',
    remedy: 'Move the disk to one of these.',
  });
}

function nicOf(nic: NicXml, index: number): NicSpec {
  const models: Record<string, NicModel> = { e1000: 'e1000', e1000e: 'e1000', virtio: 'virtio', vmxnet3: 'vmxnet3' };
  const model = models[nic.model?.type ?? 'virtio'];
  if (model === undefined) {
    throw new OperatorError({
      what: `network card ${index} is of a model that Muster does not know`,
      found: nic.model?.type ?? 'none',
      needed: Object.keys(models).join(', '),
    });
  }
  const network = nic.source?.network ?? nic.source?.bridge ?? nic.type;
  return { index, macAddress: (nic.mac?.address ?? '').toLowerCase(), model, network };
}

/** The condition of a libvirt host, asked anew every time. */
import { XMLParser } from 'fast-xml-parser';
import { isMusterError } from '../../model/errors';
import type { CallOptions, PlatformHealth } from '../contract';
import type { Host } from './host';

const reader = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '@', parseTagValue: false });

export async function health(host: Host, options: CallOptions = {}): Promise<PlatformHealth> {
  const version = await host.virsh.run('libvirt does not answer', ['version'], options);
  const memory = await host.virsh.run("the host's memory cannot be read", ['nodememstats'], options);
  const networks: { name: string; isolated: boolean }[] = [];
  for (const [name, network] of Object.entries(host.networks)) {
    if (network.kind !== 'network') networks.push({ name, isolated: network.kind === 'unplugged' });
    else {
      const xml = await networkXml(host, network.name, options);
      // A network that is not there or not active is not offered; preflight then names it.
      if (xml !== undefined) networks.push({ name, isolated: isIsolated(xml) });
    }
  }
  return {
    kind: 'libvirt',
    version: parseVersion(version),
    acceleration: await host.acceleration(),
    networks,
    memoryFreeBytes: parseFreeMemory(memory),
  };
}

async function networkXml(host: Host, name: string, options: CallOptions): Promise<string | undefined> {
  try {
    const active = await host.virsh.run('networks cannot be listed', ['net-list', '--name'], options);
    if (!active.split('\n').some((line) => line.trim() === name)) return undefined;
    return await host.virsh.run(`network ${name} cannot be read`, ['net-dumpxml', '--network', name], options);
  } catch (error) {
    if (isMusterError(error) && /Network not found/i.test(error.facts.detail ?? '')) return undefined;
    throw error;
  }
}

/** Without <forward>, libvirt connects the network's machines with each other and with nothing else. */
export function isIsolated(xml: string): boolean {
  const network = (reader.parse(xml) as { network?: Record<string, unknown> }).network;
  return network !== undefined && !('forward' in network);
}

/** `Using library: libvirt 9.0.0` and `Running hypervisor: QEMU 7.2.22` in one line. */
export function parseVersion(text: string): string {
  const library = /Using library: (.+)/.exec(text)?.[1]?.trim() ?? 'libvirt';
  const hypervisor = /Running hypervisor: (.+)/.exec(text)?.[1]?.trim() ?? 'QEMU';
  return `${library}, ${hypervisor}`;
}

/** Free memory and what the kernel would give back: `virsh nodememstats`, in KiB. */
export function parseFreeMemory(text: string): number {
  const kibibytes = (key: string) => Number(new RegExp(`^${key}\\s*:\\s*(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  return (kibibytes('free') + kibibytes('buffers') + kibibytes('cached')) * 1024;
}

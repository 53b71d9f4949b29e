/** The demo's source servers: machines on the production site, each on its own AHCI disk and e1000e card. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create } from 'xmlbuilder2';
import { runProgram } from '../../programs/run';
import { StackError } from '../exit-codes';

export interface Source {
  readonly name: string;
  readonly imagePath: string;
  /** A network of libvirt by its name; null: QEMU's own, which the guest has to itself. */
  readonly network: string | null;
}

/** Says that a machine of this name is the demo's, and may be removed by the next demo. */
const mark = 'Made by `npm run demo` of Muster; the next demo removes it.';

const virsh = (...args: string[]) =>
  runProgram('virsh', ['-c', 'qemu:///system', '--quiet', ...args], { timeoutMs: 60_000 });

/** Removes a machine of an earlier demo. @throws StackError when a machine of this name is somebody else's. */
export async function removeSource(name: string): Promise<void> {
  const names = (await virsh('list', '--all', '--name')).stdout.split('\n').map((one) => one.trim());
  if (!names.includes(name)) return;
  const description = (await virsh('desc', name)).stdout;
  if (!description.includes(mark)) {
    throw new StackError('part-not-up', {
      what: `the demo cannot make its server ${name}`,
      found: `a machine of this name that is not the demo's`,
      needed: 'the name for itself',
      remedy: `Rename that machine (\`virsh domrename ${name} …\`) or try the demo on another host.`,
    });
  }
  const isRunning = (await virsh('list', '--name')).stdout.split('\n').includes(name);
  if (isRunning) await virsh('destroy', name);
  await virsh('undefine', name, '--checkpoints-metadata');
}

/** Starts the server from an overlay on the image, in `folder`. */
export async function startSource(folder: string, source: Source): Promise<void> {
  const { name, imagePath } = source;
  await mkdir(folder, { recursive: true });
  // QEMU runs as a user of its own and must reach the disk.
  await chmod(folder, 0o711);
  const disk = join(folder, `${name}.qcow2`);
  await runProgram('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', imagePath, '-F', 'qcow2', disk]);
  const definition = join(folder, `${name}.xml`);
  await writeFile(definition, domainXml(source, disk));
  await virsh('define', definition);
  await virsh('start', name);
}

/** q35 with the devices where the image expects them: its NIC is enp1s0, on the first PCIe root port. */
function domainXml({ name, network }: Source, disk: string): string {
  return create({
    domain: {
      '@type': 'qemu',
      name,
      description: mark,
      memory: { '@unit': 'MiB', '#': '768' },
      vcpu: '1',
      os: { type: { '@arch': 'x86_64', '@machine': 'q35', '#': 'hvm' } },
      features: { acpi: {}, apic: {} },
      devices: {
        disk: {
          '@type': 'file',
          '@device': 'disk',
          driver: { '@name': 'qemu', '@type': 'qcow2' },
          source: { '@file': disk },
          target: { '@dev': 'sda', '@bus': 'sata' },
        },
        controller: { '@type': 'pci', '@index': '1', '@model': 'pcie-root-port' },
        interface: {
          ...(network === null ? { '@type': 'user' } : { '@type': 'network', source: { '@network': network } }),
          model: { '@type': 'e1000e' },
          address: { '@type': 'pci', '@domain': '0x0000', '@bus': '0x01', '@slot': '0x00', '@function': '0x0' },
        },
        channel: { '@type': 'unix', target: { '@type': 'virtio', '@name': 'org.qemu.guest_agent.0' } },
        serial: { '@type': 'pty' },
        video: { model: { '@type': 'vga' } },
        rng: { '@model': 'virtio', backend: { '@model': 'random', '#': '/dev/urandom' } },
      },
    },
  }).end({ prettyPrint: true });
}

/** The demo's source server app01: a machine on the production site, on its own AHCI disk and e1000e card. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { create } from 'xmlbuilder2';
import { isMusterError } from '../../model/errors';
import type { GuestResult, Platform } from '../../platforms/contract';
import { runProgram } from '../../programs/run';
import { StackError } from '../exit-codes';

export const sourceName = 'app01';
/** Says that a machine of this name is the demo's, and may be removed by the next demo. */
const mark = 'Made by `npm run demo` of Muster; the next demo removes it.';

const virsh = (...args: string[]) =>
  runProgram('virsh', ['-c', 'qemu:///system', '--quiet', ...args], { timeoutMs: 60_000 });

/** Removes the machine of an earlier demo. @throws StackError when a machine of this name is somebody else's. */
export async function removeSource(): Promise<void> {
  const names = (await virsh('list', '--all', '--name')).stdout.split('\n').map((name) => name.trim());
  if (!names.includes(sourceName)) return;
  const description = (await virsh('desc', sourceName)).stdout;
  if (!description.includes(mark)) {
    throw new StackError('part-not-up', {
      what: `the demo cannot make its server ${sourceName}`,
      found: `a machine of this name that is not the demo's`,
      needed: 'the name for itself',
      remedy: `Rename that machine (\`virsh domrename ${sourceName} …\`) or try the demo on another host.`,
    });
  }
  const isRunning = (await virsh('list', '--name')).stdout.split('\n').includes(sourceName);
  if (isRunning) await virsh('destroy', sourceName);
  await virsh('undefine', sourceName, '--checkpoints-metadata');
}

/** Starts the server from an overlay on the image, in `folder`. */
export async function startSource(folder: string, imagePath: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  // QEMU runs as a user of its own and must reach the disk.
  await chmod(folder, 0o711);
  const disk = join(folder, `${sourceName}.qcow2`);
  await runProgram('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', imagePath, '-F', 'qcow2', disk]);
  const definition = join(folder, `${sourceName}.xml`);
  await writeFile(definition, domainXml(disk));
  await virsh('define', definition);
  await virsh('start', sourceName);
}

/** Ends when the guest's agent runs a program. */
export async function waitForGuest(platform: Platform): Promise<void> {
  for (;;) {
    if ((await counter(platform)) !== undefined) return;
    await sleep(1_000);
  }
}

export interface CounterStatus {
  /** The last number that the service found when it started. */
  readonly recovered: number;
  readonly current: number;
  readonly chain: string;
}

/** What the service in the guest says of itself; undefined while it does not answer. */
export async function counter(platform: Platform): Promise<CounterStatus | undefined> {
  try {
    const command = { path: '/usr/local/bin/counter-status', args: [], timeoutMs: 10_000 };
    const { exitCode, stdout }: GuestResult = await platform.runInGuest(sourceName, command);
    return exitCode === 0 ? (JSON.parse(stdout) as CounterStatus) : undefined;
  } catch (error) {
    if (isMusterError(error) && error.family === 'TransientError') return undefined;
    throw error;
  }
}

/** q35 with the devices where the image expects them: its NIC is enp1s0, on the first PCIe root port. */
function domainXml(disk: string): string {
  return create({
    domain: {
      '@type': 'qemu',
      name: sourceName,
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
          '@type': 'user',
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

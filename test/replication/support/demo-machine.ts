/** The demo guest as a source machine: an overlay on the shared image, AHCI disk, agent; software emulation. */
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { exitCodeOf, sh } from './tools';

export const uri = process.env['MUSTER_TEST_LIBVIRT_URI'] ?? 'qemu:///system';
export const virsh = (...args: string[]) => sh('virsh', '-c', uri, '--quiet', ...args);

export interface DemoMachine {
  readonly name: string;
  readonly disk: string;
  /** Ends when the guest's agent answers. @throws after five minutes, with the end of its console */
  started(): Promise<void>;
  counter(): Promise<number>;
  /** Ends QEMU as a loss of power would: nothing is written any more, no bitmap is saved (`virsh destroy` saves them). */
  pullThePlug(): Promise<void>;
  /** Ends when the guest has shut itself down. */
  shutDown(): Promise<void>;
  close(): Promise<void>;
}

export const newMachineName = () => `muster-test-${randomUUID().slice(0, 8)}`;

export async function startDemoMachine(
  folder: string,
  imagePath: string,
  name = newMachineName(),
): Promise<DemoMachine> {
  const disk = join(folder, 'source.qcow2');
  const xml = join(folder, 'source.xml');
  await sh('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', imagePath, '-F', 'qcow2', disk);
  await writeFile(xml, domainXml(name, disk, join(folder, 'console')));
  await virsh('define', xml);
  await virsh('start', name);
  const started = async () => {
    for (const endsAt = performance.now() + longestBootMs; ; await sleep(1000)) {
      if ((await exitCodeOf('virsh', '-c', uri, 'qemu-agent-command', name, '{"execute":"guest-ping"}')) === 0) return;
      if (performance.now() < endsAt) continue;
      const state = await virsh('domstate', name, '--reason').catch(String);
      const said = (await readFile(join(folder, 'console'), 'utf8')).slice(-3_000);
      throw new Error(`${name} (${state}) did not start within ${longestBootMs / 1000} s; its console:\n${said}`);
    }
  };
  const counter = async () => (await counterStatus(name)).current;
  const pullThePlug = async () => {
    process.kill(Number(await readFile(`/run/libvirt/qemu/${name}.pid`, 'utf8')), 'SIGKILL');
    while ((await virsh('domstate', name)) !== 'shut off') await sleep(100);
  };
  const shutDown = async () => {
    await virsh('shutdown', name, '--mode', 'agent,acpi');
    while ((await virsh('domstate', name)) !== 'shut off') await sleep(200);
  };
  const close = async () => {
    await exitCodeOf('virsh', '-c', uri, 'destroy', name);
    await exitCodeOf('virsh', '-c', uri, 'undefine', name, '--checkpoints-metadata');
  };
  return { name, disk, started, counter, pullThePlug, shutDown, close };
}

export interface CounterStatus {
  readonly recovered: number;
  /** When the service started. */
  readonly recoveredAt: string;
  readonly current: number;
  readonly chain: string;
}

/** What the service in the guest says of itself; asked through the agent by virsh alone. */
export async function counterStatus(name: string): Promise<CounterStatus> {
  const { pid } = await agent<{ pid: number }>(name, {
    execute: 'guest-exec',
    arguments: { path: '/usr/local/bin/counter-status', 'capture-output': true },
  });
  for (;;) {
    const status = await agent<{ exited: boolean; 'out-data'?: string }>(name, {
      execute: 'guest-exec-status',
      arguments: { pid },
    });
    const out = Buffer.from(status['out-data'] ?? '', 'base64').toString();
    if (status.exited) return JSON.parse(out) as CounterStatus;
    await sleep(200);
  }
}

/** Asks again while replication holds the file systems still for a point: the agent takes next to nothing then. */
export async function agent<T>(name: string, command: object): Promise<T> {
  for (const endsAt = performance.now() + longestFreezeMs; ; await sleep(200)) {
    try {
      const said = await virsh('qemu-agent-command', name, '--timeout', '10', JSON.stringify(command));
      return (JSON.parse(said) as { return: T }).return;
    } catch (error) {
      if (!String(error).includes('frozen state') || performance.now() > endsAt) throw error;
    }
  }
}

/** An emulated guest boots within a minute, or two where others boot. */
const longestBootMs = 300_000;

/** A freeze takes a second or two; a busy host is slow to thaw. */
const longestFreezeMs = 60_000;

const domainXml = (name: string, disk: string, console: string) => `<domain type='qemu'>
  <name>${name}</name><memory unit='MiB'>768</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/><apic/></features>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${disk}'/><target dev='sda' bus='sata'/></disk>
    <controller type='pci' index='1' model='pcie-root-port'/>
    <interface type='user'><model type='e1000e'/><address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></interface>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <serial type='file'><source path='${console}'/></serial><video><model type='vga'/></video><rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
</domain>`;

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
  /** Ends when the guest's agent answers. */
  started(): Promise<void>;
  counter(): Promise<number>;
  /** Ends QEMU as a loss of power would: nothing is written any more, no bitmap is saved (`virsh destroy` saves them). */
  pullThePlug(): Promise<void>;
  /** Ends when the guest has shut itself down. */
  shutDown(): Promise<void>;
  close(): Promise<void>;
}

export async function startDemoMachine(folder: string, imagePath: string): Promise<DemoMachine> {
  const name = `muster-test-${randomUUID().slice(0, 8)}`;
  const disk = join(folder, 'source.qcow2');
  const xml = join(folder, 'source.xml');
  await sh('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', imagePath, '-F', 'qcow2', disk);
  await writeFile(xml, domainXml(name, disk, join(folder, 'console')));
  await virsh('define', xml);
  await virsh('start', name);
  const agent = (command: object) => virsh('qemu-agent-command', name, '--timeout', '10', JSON.stringify(command));
  const started = async () => {
    while ((await exitCodeOf('virsh', '-c', uri, 'qemu-agent-command', name, '{"execute":"guest-ping"}')) !== 0) {
      await sleep(1000);
    }
  };
  const counter = async () => {
    const started = JSON.parse(
      await agent({
        execute: 'guest-exec',
        arguments: { path: '/usr/local/bin/counter-status', 'capture-output': true },
      }),
    ) as { return: { pid: number } };
    for (;;) {
      const status = JSON.parse(
        await agent({ execute: 'guest-exec-status', arguments: { pid: started.return.pid } }),
      ) as { return: { exited: boolean; 'out-data'?: string } };
      const out = Buffer.from(status.return['out-data'] ?? '', 'base64').toString();
      if (status.return.exited) return (JSON.parse(out) as { current: number }).current;
      await sleep(200);
    }
  };
  const pullThePlug = async () => {
    process.kill(Number(await readFile(`/run/libvirt/qemu/${name}.pid`, 'utf8')), 'SIGKILL');
    while ((await virsh('domstate', name)) !== 'shut off') await sleep(100);
  };
  const shutDown = async () => {
    await virsh('shutdown', name, '--mode', 'agent');
    while ((await virsh('domstate', name)) !== 'shut off') await sleep(200);
  };
  const close = async () => {
    await exitCodeOf('virsh', '-c', uri, 'destroy', name);
    await exitCodeOf('virsh', '-c', uri, 'undefine', name, '--checkpoints-metadata');
  };
  return { name, disk, started, counter, pullThePlug, shutDown, close };
}

const domainXml = (name: string, disk: string, console: string) => `<domain type='qemu'>
  <name>${name}</name><memory unit='MiB'>768</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/><apic/></features>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${disk}'/><target dev='sda' bus='sata'/></disk>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <serial type='file'><source path='${console}'/></serial><video><model type='vga'/></video><rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
</domain>`;

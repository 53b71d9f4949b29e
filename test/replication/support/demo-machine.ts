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
  /** Ends when the guest has shut itself down. @throws after five minutes, with the end of its console */
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
  const late = async (what: string, withinMs: number) => {
    const state = await virsh('domstate', name, '--reason').catch(String);
    const said = (await readFile(join(folder, 'console'), 'utf8')).slice(-3_000);
    return new Error(`${name} (${state}) did not ${what} within ${withinMs / 1000} s; its console:\n${said}`);
  };
  const started = async () => {
    for (const endsAt = performance.now() + longestBootMs; ; await sleep(1000)) {
      if ((await exitCodeOf('virsh', '-c', uri, 'qemu-agent-command', name, '{"execute":"guest-ping"}')) === 0) return;
      if (performance.now() > endsAt) throw await late('start', longestBootMs);
    }
  };
  const counter = async () => (await counterStatus(name)).current;
  const pullThePlug = async () => {
    process.kill(Number(await readFile(`/run/libvirt/qemu/${name}.pid`, 'utf8')), 'SIGKILL');
    while ((await virsh('domstate', name)) !== 'shut off') await sleep(100);
  };
  const shutDown = async () => {
    const endsAt = performance.now() + longestShutdownMs;
    for (let askAt = 0; (await virsh('domstate', name)) !== 'shut off'; await sleep(200)) {
      if (performance.now() > endsAt) throw await late('shut down', longestShutdownMs);
      if (performance.now() < askAt) continue;
      // A busy guest may refuse, or take it and lose it; one that ends meanwhile refuses, too.
      await exitCodeOf('virsh', '-c', uri, 'shutdown', name, '--mode', 'agent,acpi');
      askAt = performance.now() + askAgainMs;
    }
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

/**
 * What the service in the guest says of itself; asked through the agent by virsh alone.
 *
 * @throws when it says nothing of itself for a minute: it does not run yet, or is too busy to answer
 */
export async function counterStatus(name: string): Promise<CounterStatus> {
  for (const endsAt = performance.now() + longestSilenceMs; ; await sleep(1000)) {
    const said = await saidByCounter(name);
    const status = parsed(said);
    if (status !== undefined && 'current' in status) return status as CounterStatus;
    if (performance.now() > endsAt) throw new Error(`The service in ${name} does not answer; its probe says: ${said}`);
  }
}

async function saidByCounter(name: string): Promise<string> {
  const { pid } = await agent<{ pid: number }>(name, {
    execute: 'guest-exec',
    arguments: { path: '/usr/local/bin/counter-status', 'capture-output': true },
  });
  for (;;) {
    const status = await agent<{ exited: boolean; 'out-data'?: string }>(name, {
      execute: 'guest-exec-status',
      arguments: { pid },
    });
    if (status.exited) return Buffer.from(status['out-data'] ?? '', 'base64').toString();
    await sleep(200);
  }
}

function parsed(text: string): object | undefined {
  try {
    return JSON.parse(text) as object;
  } catch {
    return undefined;
  }
}

/**
 * Asks again while the agent cannot take the command: replication holds the file systems still for a point, or another
 * question is under way, or the guest is too busy to answer libvirt, which then does not send it.
 */
export async function agent<T>(name: string, command: object): Promise<T> {
  const args = ['qemu-agent-command', name, '--timeout', String(longestAnswerMs / 1000), JSON.stringify(command)];
  for (const endsAt = performance.now() + longestRefusalMs; ; await sleep(200)) {
    const askedAt = performance.now();
    try {
      return (JSON.parse(await virsh(...args)) as { return: T }).return;
    } catch (error) {
      const tookMs = performance.now() - askedAt;
      if (!wasNotTaken(String(error), tookMs) || performance.now() > endsAt) throw error;
    }
  }
}

/**
 * libvirt greets the agent first, for five seconds whatever the command's own time is. It uses the same words when that is
 * over as when the command got no answer, but not before the command's time.
 */
const wasNotTaken = (error: string, tookMs: number): boolean =>
  /frozen state|didn't respond to synchronization|cannot acquire state change lock/.test(error) ||
  (error.includes('not available for now') && tookMs < longestAnswerMs);

/** An emulated guest boots within a minute, or two where others boot. */
const longestBootMs = 300_000;
const longestShutdownMs = 300_000;
const askAgainMs = 20_000;

/** A freeze takes a second or two; a busy host is slow to thaw, and its guests are slow to answer. */
const longestRefusalMs = 120_000;
const longestAnswerMs = 60_000;
const longestSilenceMs = 60_000;

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

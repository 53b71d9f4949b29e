/**
 * What runs in a simulated machine: nothing. Whether it would boot is decided by the bytes of its disks and its hardware,
 * and its service's counter is a function of time, written to the disk whenever somebody looks at the disk.
 */
import { hardwareProfiles, type HardwareProfile } from '../../model/server';
import type { GuestCommand, GuestResult } from '../contract';
import { readCounter, readOs, readPartitions, writeCounter, type OsArea } from './disk-bytes';
import type { MachineRecord } from './machines';
import type { Site } from './site';
import { readSettings } from './site';

export type BootOutcome =
  | { readonly boots: true; readonly systemDisk: string; readonly os: OsArea }
  | { readonly boots: false; readonly console: string };

const firmwareLines = (machine: MachineRecord) =>
  machine.firmware === 'uefi' ? 'BdsDxe: loading Boot0001' : 'SeaBIOS (simulated)\nBooting from Hard Disk...';

/** Whether this machine finds its root file system: signature present, drivers of its hardware in the initramfs. */
export async function bootOutcome(machine: MachineRecord): Promise<BootOutcome> {
  const inOrder = [...machine.disks].sort((a, b) => a.index - b.index);
  for (const disk of inOrder) {
    const os = await readOs(disk.path).catch(() => null);
    if (!os) continue;
    const missing = rootModules(machine.hardware).filter((module) => !os.drivers.includes(module));
    const volumes = await readPartitions(disk.path);
    const recognised = volumes.some((volume) => volume.type !== null);
    if (missing.length === 0 && recognised) return { boots: true, systemDisk: disk.path, os };
    return { boots: false, console: initramfsAlert(machine) };
  }
  return { boots: false, console: `${firmwareLines(machine)}\nNo bootable device.\n` };
}

/** Modules without which the root disk is not found; a missing NIC driver does not keep a machine from booting. */
export function rootModules(hardware: HardwareProfile): string[] {
  const nicModules = ['e1000', 'virtio_net', 'vmxnet3'];
  const known = hardwareProfiles[hardware.id]?.linuxModules ?? hardware.linuxModules;
  return known.filter((module) => !nicModules.includes(module));
}

/** Word for word what Debian's initramfs-tools prints when the root device does not appear. */
function initramfsAlert(machine: MachineRecord): string {
  return [
    firmwareLines(machine),
    'Loading Linux 6.1.0-simulated ...',
    'Loading initial ramdisk ...',
    'Begin: Running /scripts/init-premount ... done.',
    'Begin: Mounting root file system ... Begin: Running /scripts/local-top ... done.',
    'Begin: Running /scripts/local-premount ... done.',
    'Begin: Waiting for root file system ... Begin: Running /scripts/local-block ... done.',
    'done.',
    'Gave up waiting for root file system device.  Common problems:',
    ' - Boot args (cat /proc/cmdline)',
    '   - Check rootdelay= (did the system wait long enough?)',
    ' - Missing modules (cat /proc/modules; ls /dev)',
    `ALERT!  UUID=${machine.uuid} does not exist.  Dropping to a shell!`,
    '',
    "BusyBox v1.35.0 (Debian) built-in shell (ash)\nEnter 'help' for a list of built-in commands.",
    '',
    '(initramfs) ',
  ].join('\n');
}

/** The serial console's text at this moment. */
export async function consoleText(site: Site, machine: MachineRecord): Promise<string> {
  if (machine.poweredOnAt === null) return '';
  const outcome = await bootOutcome(machine);
  if (!outcome.boots) return outcome.console;
  const up = await isUp(site, machine);
  const login = up ? `\nDebian GNU/Linux 12 ${machine.name} ttyS0\n\n${machine.name} login: ` : '';
  return `${firmwareLines(machine)}\nLoading Linux ${outcome.os.kernelRelease} ...\n${login}`;
}

/** True when the guest's agent answers: powered on, bootable, and long enough ago. */
export async function isUp(site: Site, machine: MachineRecord): Promise<boolean> {
  if (machine.power !== 'on' || machine.poweredOnAt === null) return false;
  const { guestBootMs } = await readSettings(site);
  if (site.now() < machine.poweredOnAt + guestBootMs) return false;
  return (await bootOutcome(machine)).boots;
}

export interface CounterNow {
  readonly recovered: number;
  readonly recoveredAt: string;
  readonly current: number;
  readonly chain: 'ok' | 'broken';
}

/** The service in a running guest: the value it found at boot and the value it has reached. */
export async function counterNow(site: Site, machine: MachineRecord): Promise<CounterNow | undefined> {
  const outcome = await bootOutcome(machine);
  if (!outcome.boots || machine.poweredOnAt === null) return undefined;
  const { tickMs, guestBootMs } = await readSettings(site);
  const record = await readCounter(outcome.systemDisk);
  // The record on disk is newer than the boot once somebody looked; the service counts on from there.
  const bootedAt = machine.poweredOnAt + guestBootMs;
  const since = record ? Math.max(Date.parse(record.at), bootedAt) : bootedAt;
  const passed = Math.max(0, Math.floor((site.now() - since) / tickMs));
  const recovered = machine.recoveredCounter ?? 0;
  return {
    recovered,
    recoveredAt: new Date(bootedAt).toISOString(),
    current: (record?.counter ?? 0) + passed,
    chain: !record || record.whole ? 'ok' : 'broken',
  };
}

/** Writes to the disk what the service has written by now; to be called before a running machine's disk is read. */
export async function writeServiceData(site: Site, machine: MachineRecord): Promise<void> {
  if (!(await isUp(site, machine))) return;
  const outcome = await bootOutcome(machine);
  const now = await counterNow(site, machine);
  if (!outcome.boots || !now) return;
  const record = await readCounter(outcome.systemDisk);
  if (record && record.counter >= now.current) return;
  await writeCounter(outcome.systemDisk, now.current, new Date(site.now()).toISOString());
}

/** Answers the few programs that probes and checks run. */
export async function runSimulated(site: Site, machine: MachineRecord, command: GuestCommand): Promise<GuestResult> {
  const line = [command.path, ...command.args].join(' ');
  if (/counter/.test(line)) {
    const now = await counterNow(site, machine);
    return answer(`${JSON.stringify({ service: 'counter', ...now })}\n`);
  }
  if (line.includes('/proc/sys/kernel/random/boot_id')) return answer(`${bootIdOf(machine)}\n`);
  if (/\bdate$/.test(command.path)) return answer(`${Math.floor(site.now() / 1000)}\n`);
  if (/\btrue$/.test(command.path)) return answer('');
  if (/\bfalse$/.test(command.path)) return { ...answer(''), exitCode: 1 };
  if (/\benv$/.test(command.path)) {
    const lines = Object.entries(command.environment ?? {}).map(([name, value]) => `${name}=${value}\n`);
    return answer(lines.join(''));
  }
  if (/\becho$/.test(command.path)) return answer(`${command.args.join(' ')}\n`);
  const printed = (await readSettings(site)).guestPrints[line];
  if (printed !== undefined) return answer(printed);
  return { ...answer(''), exitCode: 127, stderr: `${command.path}: not found in the simulated guest\n` };
}

export function bootIdOf(machine: MachineRecord): string | null {
  return machine.power === 'on' ? `${machine.uuid}-${machine.boots}` : null;
}

const longestOutputBytes = 64 * 1024;

function answer(text: string): GuestResult {
  const bytes = Buffer.from(text);
  const stdout = bytes.subarray(0, longestOutputBytes).toString('utf8');
  return { exitCode: 0, stdout, stderr: '', truncated: bytes.length > longestOutputBytes };
}

/**
 * A machine without a hypervisor's interface, as far as Muster can tell: QEMU with an NVMe disk and an Intel card behind
 * sushy-tools' Redfish emulator, its serial line in a file.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { startSushy, type Sushy } from '../../support/sushy';

export interface Iron {
  readonly controller: Sushy;
  readonly serialFile: string;
  /** Times it was started. */
  starts(): number;
  close(): Promise<void>;
}

export interface IronParts {
  readonly image: string;
  readonly serial: string;
  readonly macAddress: string;
}

export async function buildIron(folder: string, parts: IronParts): Promise<Iron> {
  const serialFile = join(folder, 'ttyS0.log');
  let machine: ChildProcess | undefined;
  let starts = 0;
  const off = async (): Promise<void> => {
    const running = machine;
    machine = undefined;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const ended = once(running, 'close');
    running.kill('SIGKILL');
    await ended;
  };
  const controller = await startSushy(join(folder, 'controller'), async (state) => {
    if (state === 'Off') return off();
    if (machine !== undefined) return;
    starts += 1;
    machine = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'qemu-system-x86_64', ...qemuArgs(parts, serialFile)], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  });
  return {
    controller,
    serialFile,
    starts: () => starts,
    close: async () => {
      await controller.close();
      await off();
    },
  };
}

const qemuArgs = ({ image, serial, macAddress }: IronParts, serialFile: string): string[] => [
  ...['-machine', 'q35,accel=tcg', '-m', '768', '-smp', '1', '-nodefaults', '-display', 'none', '-vga', 'std'],
  ...['-drive', `if=none,id=d0,file=${image},format=raw`, '-device', `nvme,serial=${serial},drive=d0,bootindex=0`],
  ...['-device', `e1000e,netdev=n0,mac=${macAddress}`, '-netdev', 'user,id=n0,restrict=on'],
  ...['-serial', `file:${serialFile}`],
];

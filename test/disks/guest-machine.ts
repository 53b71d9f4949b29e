/** A guest started by QEMU itself, without libvirt: any hardware, serial console in a file, agent on a socket. */
import { randomInt } from 'node:crypto';
import { spawn, type ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface GuestMachine {
  /** What the guest wrote to its serial console so far. */
  console(): Promise<string>;
  /** Waits until `look` returns something; fails at the deadline with the console's end. */
  until<T>(what: string, look: () => Promise<T | undefined>, deadlineMs: number): Promise<T>;
  /** Types on the serial console. */
  type(text: string): Promise<void>;
  /** One command of the guest agent; undefined while it does not answer. */
  agent(command: string, args?: object): Promise<unknown>;
  /** A program in the guest: its standard output. */
  run(path: string, args: readonly string[]): Promise<string>;
  kill(): Promise<void>;
}

/** Devices of a machine as QEMU emulates VMware's: pvscsi and vmxnet3. */
export const startVmwareLike = (overlay: string, folder: string): GuestMachine =>
  startMachine(folder, [
    ...['-device', 'pvscsi,id=scsi0,bus=pcie.0,addr=0x10', '-device', 'scsi-hd,drive=d0,bus=scsi0.0'],
    ...['-drive', `if=none,id=d0,file=${overlay},format=qcow2`],
    ...['-device', 'vmxnet3,netdev=n0,mac=52:54:00:12:34:56,bus=pcie.0,addr=0x12', '-netdev', 'user,id=n0,restrict=on'],
  ]);

/** Starts a q35 machine with these disks and cards; its serial console and its agent's port are added. */
export function startMachine(folder: string, devices: readonly string[]): GuestMachine {
  const name = `m${randomInt(1e9)}`;
  const serial = `${folder}/${name}.log`;
  const socket = `${folder}/${name}.sock`;
  const keyboard = `${folder}/${name}.tty`;
  const child = spawn('setpriv', [
    ...['--pdeathsig', 'KILL', '--', 'qemu-system-x86_64', '-machine', 'q35,accel=tcg', '-m', '768', '-smp', '1'],
    ...['-nodefaults', '-display', 'none', '-vga', 'std', '-serial', 'chardev:tty'],
    ...['-chardev', `socket,id=tty,path=${keyboard},server=on,wait=off,logfile=${serial}`],
    ...devices,
    ...['-device', 'virtio-serial-pci', '-chardev', `socket,path=${socket},server=on,wait=off,id=ga`],
    ...['-device', 'virtserialport,chardev=ga,name=org.qemu.guest_agent.0'],
  ]);
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const readConsole = () => readFile(serial, 'utf8').catch(() => '');

  const machine: GuestMachine = {
    console: readConsole,
    async until(what, look, deadlineMs) {
      for (const end = Date.now() + deadlineMs; Date.now() < end;) {
        if (child.exitCode !== null) throw new Error(`QEMU ended with ${child.exitCode}: ${said}`);
        const found = await look();
        if (found !== undefined) return found;
        await sleep(500);
      }
      throw new Error(`${what}: not within ${deadlineMs} ms. Console:\n${(await readConsole()).slice(-3000)}`);
    },
    type: (text) =>
      new Promise((resolve, reject) => {
        const connection = connect(keyboard, () => connection.end(text));
        connection
          .on('error', reject)
          .on('close', () => resolve())
          .resume();
      }),
    agent: (command, args) => askAgent(socket, command, args),
    async run(path, args) {
      const status = await machine.until(path, () => runOnce(socket, path, args), 180_000);
      return Buffer.from(String(status['out-data'] ?? ''), 'base64').toString();
    },
    kill: () => ended(child),
  };
  return machine;
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}

/** Undefined where an answer is lost: the agent forgets a program as soon as it has said how it ended, so it is run again. */
async function runOnce(
  socket: string,
  path: string,
  args: readonly string[],
): Promise<Record<string, unknown> | undefined> {
  type Answer = Record<string, unknown> | undefined;
  const started = (await askAgent(socket, 'guest-exec', { path, arg: args, 'capture-output': true })) as Answer;
  const pid = started?.['pid'];
  if (typeof pid !== 'number') return undefined;
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(500)) {
    const status = (await askAgent(socket, 'guest-exec-status', { pid })) as Answer;
    if (status?.['exited'] === true) return status;
  }
  return undefined;
}

/** One request on a connection of its own; what the agent still owed an earlier one is skipped by its id. */
function askAgent(socket: string, command: string, args?: object): Promise<unknown> {
  const id = randomInt(1e9);
  return new Promise((resolve) => {
    const connection = connect(socket);
    const done = (value: unknown) => {
      clearTimeout(timer);
      connection.destroy();
      resolve(value);
    };
    const timer = setTimeout(done, 5_000, undefined);
    let text = '';
    let synced = false;
    connection.on('error', () => done(undefined));
    connection.on('data', (chunk: Buffer) => {
      text += chunk.toString().replaceAll('\u00ff', '');
      for (const line of text.split('\n').slice(0, -1)) {
        const answer = parseLine(line);
        if (answer?.['return'] === id) {
          synced = true;
          connection.write(`${JSON.stringify({ execute: command, arguments: args ?? {} })}\n`);
        } else if (synced && typeof answer?.['return'] === 'object') done(answer['return']);
        else if (synced && answer?.['error'] !== undefined) done(undefined);
      }
      text = text.slice(text.lastIndexOf('\n') + 1);
    });
    connection.write(`${JSON.stringify({ execute: 'guest-sync', arguments: { id } })}\n`);
  });
}

function parseLine(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line.replace(/^[^{]*/, '')) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/**
 * A machine's serial console as a file. A file is read as it is; what comes over a socket is collected into a file of the
 * site for as long as this process lives, because nobody else keeps it.
 */
import { appendFileSync, mkdirSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { printableLines } from '../../model/names';
import type { PhysicalMachine } from './machine';

const longestTextBytes = 64 * 1024;
/** More than a boot says; a console that floods is not kept without end. */
const longestFileBytes = 16 * 1024 * 1024;
const connectTimeoutMs = 3_000;

export interface Consoles {
  /** Starts to listen where that is needed. Already listening, or nobody there: nothing. */
  listen(machine: PhysicalMachine): Promise<void>;
  /** How much has been said so far; 0 without a console. */
  length(machine: PhysicalMachine): Promise<number>;
  /** The last 64 KiB since `offset` as printable text; null without a console. */
  text(machine: PhysicalMachine, offset: number): Promise<string | null>;
  /** How often a kernel started since `offset`; null without a console. */
  boots(machine: PhysicalMachine, offset: number): Promise<number | null>;
}

export function openConsoles(folder: string): Consoles {
  const listening = new Map<string, Socket>();
  const fileOf = ({ name, serialConsole }: PhysicalMachine): string | null => {
    if (serialConsole === null) return null;
    return serialConsole.kind === 'file' ? serialConsole.path : join(folder, 'consoles', `${name}.log`);
  };
  const since = async (machine: PhysicalMachine, offset: number, mostBytes: number): Promise<Buffer | null> => {
    const path = fileOf(machine);
    return path === null ? null : readSince(path, offset, mostBytes);
  };
  return {
    async listen(machine) {
      const { name, serialConsole } = machine;
      if (serialConsole === null || serialConsole.kind === 'file' || listening.has(name)) return;
      const target =
        serialConsole.kind === 'socket'
          ? { path: serialConsole.path }
          : { host: serialConsole.host, port: serialConsole.port };
      const socket = await connected(connect(target));
      if (socket === undefined) return;
      listening.set(name, socket);
      socket.on('close', () => listening.delete(name));
      collect(socket, fileOf(machine)!);
    },
    length: async (machine) => {
      const path = fileOf(machine);
      return path === null
        ? 0
        : stat(path).then(
            ({ size }) => size,
            () => 0,
          );
    },
    text: async (machine, offset) => {
      const bytes = await since(machine, offset, longestTextBytes);
      return bytes === null ? null : printableLines(bytes.toString('utf8').replace(/\r\n?/g, '\n'));
    },
    boots: async (machine, offset) => {
      const bytes = await since(machine, offset, longestFileBytes);
      return bytes === null ? null : bytes.toString('latin1').split('Linux version ').length - 1;
    },
  };
}

/** Undefined when nobody listens there. It keeps no process alive. */
function connected(socket: Socket): Promise<Socket | undefined> {
  socket.unref();
  return new Promise((resolve) => {
    const give = (result: Socket | undefined): void => {
      clearTimeout(timer);
      if (result === undefined) socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => give(undefined), connectTimeoutMs);
    socket.once('connect', () => give(socket));
    socket.once('error', () => give(undefined));
  });
}

function collect(socket: Socket, path: string): void {
  // What a console shows is not for every user of this host.
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  let bytes = 0;
  socket.on('error', () => socket.destroy());
  socket.on('data', (piece: Buffer) => {
    bytes += piece.length;
    if (bytes > longestFileBytes) return void socket.destroy();
    try {
      appendFileSync(path, piece, { mode: 0o600 });
    } catch {
      // Full or read-only storage: a console that cannot be kept must not end the recovery.
      socket.destroy();
    }
  });
}

/** A file that has become shorter was begun anew. No file yet: nothing said. */
async function readSince(path: string, offset: number, mostBytes: number): Promise<Buffer> {
  const file = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return Buffer.alloc(0);
  try {
    const { size } = await file.stat();
    const from = Math.max(offset > size ? 0 : offset, size - mostBytes);
    const buffer = Buffer.alloc(size - from);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, from);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

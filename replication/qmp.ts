/**
 * QMP, the control language of QEMU's programs: one JSON object per line over a UNIX socket (QEMU docs,
 * interop/qmp-spec). One connection per conversation; a monitor serves one client at a time.
 */
import { createConnection, type Socket } from 'node:net';
import { TransientError } from '../model/errors';

/** The other side refused a command; `errorClass` is QEMU's (`GenericError`, `DeviceNotFound`, …). */
export class QmpError extends Error {
  override readonly name = 'QmpError';
  constructor(
    readonly command: string,
    readonly errorClass: string,
    readonly description: string,
  ) {
    super(`${command} was refused by the target server: ${description}`);
  }
}

export interface Qmp {
  /** @throws QmpError when refused, TransientError when the connection breaks or the time is up. */
  execute<T = unknown>(command: string, args?: Record<string, unknown>): Promise<T>;
  close(): void;
}

interface Reply {
  readonly id?: number;
  readonly QMP?: unknown;
  readonly return?: unknown;
  readonly error?: { class: string; desc: string };
}

interface Waiting {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

const connectTimeoutMs = 5_000;

/** Connects and negotiates. @throws TransientError when nobody answers within five seconds. */
export async function connectQmp(path: string, options: { commandTimeoutMs?: number } = {}): Promise<Qmp> {
  const waiting = new Map<number, Waiting>();
  const socket = createConnection({ path });
  let lastId = 0;
  let greet: () => void = () => undefined;
  const greeting = new Promise<void>((resolve) => (greet = resolve));
  let ended: string | undefined;
  const fail = (why: string) => {
    ended ??= why;
    for (const { command, reject } of waiting.values()) reject(unreachable(path, `${why} during ${command}`));
    waiting.clear();
    socket.destroy();
  };
  const broken = new Promise<never>((_, reject) => {
    socket.once('error', (error) => (fail(error.message), reject(unreachable(path, error.message))));
    socket.once('close', () => (fail('the connection closed'), reject(unreachable(path, ended!))));
  });
  broken.catch(() => undefined);
  const onLine = (line: string): void => {
    const reply = parsed(line);
    if (reply === undefined) return fail(`no JSON (${JSON.stringify(line.slice(0, 80))})`);
    if (reply.QMP !== undefined) greet();
    const call = reply.id === undefined ? undefined : waiting.get(reply.id);
    if (call === undefined) return;
    waiting.delete(reply.id!);
    if (reply.error === undefined) call.resolve(reply.return);
    else call.reject(new QmpError(call.command, reply.error.class, reply.error.desc));
  };
  readLines(socket, onLine, () => fail(`more than ${longestLine} characters in one line`));
  const execute = <T>(command: string, args?: Record<string, unknown>): Promise<T> => {
    const id = ++lastId;
    const answer = new Promise<T>((resolve, reject) => {
      if (socket.destroyed) return reject(unreachable(path, 'the connection is closed'));
      waiting.set(id, { command, resolve: resolve as (value: unknown) => void, reject });
      socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    });
    return within(answer, options.commandTimeoutMs ?? 30_000, () => fail(`no answer to ${command}`));
  };
  await within(Promise.race([greeting, broken]), connectTimeoutMs, () => fail('no greeting'));
  await execute('qmp_capabilities');
  return { execute, close: () => socket.destroy() };
}

/** More than a daemon with thousands of layers has to say at once. */
const longestLine = 16 * 1024 * 1024;

function readLines(socket: Socket, onLine: (line: string) => void, onTooLong: () => void): void {
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    const lines = chunk.split('\n');
    lines[0] = rest + lines[0]!;
    rest = lines.pop()!;
    for (const line of lines) if (line.trim() !== '') onLine(line);
    if (rest.length > longestLine) onTooLong();
  });
}

function parsed(line: string): Reply | undefined {
  try {
    const reply: unknown = JSON.parse(line);
    return typeof reply === 'object' && reply !== null ? reply : undefined;
  } catch {
    return undefined;
  }
}

/** The promise's value; after the time is up `onLate` has to make it fail. */
async function within<T>(promise: Promise<T>, timeoutMs: number, onLate: () => void): Promise<T> {
  const timer = setTimeout(onLate, timeoutMs);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

function unreachable(path: string, found: string): TransientError {
  return new TransientError({
    what: 'the target server does not answer',
    found,
    needed: `a qemu-storage-daemon listening on ${path}`,
    remedy: 'It is started again by the next attempt.',
  });
}

/**
 * A conversation with one guestfish: the appliance is started once (13 to 20 s without KVM, which is most of an
 * inoculation) and everything is asked of it, one command after the other.
 *
 * guestfish reads commands from a pipe and ends at the first that fails, so a session either did everything it was asked
 * or is over; what may fail is asked as a predicate (`is-file`) or with `attempt`. It dies with this process
 * (`setpriv`), and its own recovery process then ends the appliance's QEMU.
 */
import { randomBytes } from 'node:crypto';
import { execa } from 'execa';
import { OperatorError, PermanentError, TransientError } from '../model/errors';
import { childEnvironment } from '../programs/environment';
import { guestfishLine, printable } from './guestfish-words';

export interface GuestfishSettings {
  readonly signal?: AbortSignal | undefined;
  /** Limit for one command. Default: two minutes; the appliance's start and a regeneration take longer ones. */
  readonly commandTimeoutMs?: number;
  /** Folder for libguestfs's temporary files. */
  readonly temporaryFolder: string;
  /** false where KVM works; default: forced emulation, which works everywhere. */
  readonly emulate?: boolean;
  /** For keys that are made costly on purpose: argon2 of LUKS2 wants up to 1 GiB. Default: 768. */
  readonly memoryMiB?: number;
  /** Work that nobody waits for: gives way to everything else on this host, for the processor and for its disks. */
  readonly background?: boolean;
}

export interface Guestfish {
  /** Of this session, on the host. */
  readonly temporaryFolder: string;
  /** Runs a command; its output, at most 4 MiB. @throws TransientError with the tool's words when it fails: the session is then over. */
  ask(command: string, args?: readonly string[], timeoutMs?: number): Promise<string>;
  /** The same for an answer that is not text: exactly the bytes that the command printed. */
  bytes(command: string, args?: readonly string[]): Promise<Buffer>;
  /** Runs a command that may fail: `error` is then what guestfish said, `detail` all of it, and the session goes on. */
  attempt(
    command: string,
    args?: readonly string[],
    timeoutMs?: number,
  ): Promise<{ output: string; error: string | null; detail: string }>;
  /**
   * Opens an encrypted volume as /dev/mapper/`name`: null, or what was said when it did not open. The key goes through
   * standard input or a file in the appliance's memory, never through an argument.
   */
  openEncrypted(device: string, name: string, key: Uint8Array): Promise<string | null>;
  /** Ends the appliance in order, so that everything written is on the disks. */
  close(): Promise<void>;
  /** Ends it at once; for an error or an abort. */
  kill(): Promise<void>;
}

const maxOutputBytes = 4 * 1024 * 1024;
const defaultTimeoutMs = 120_000;
/** A key's derivation takes 2 s on the machine that it was made on, and up to a hundred times that without KVM. */
const keyTimeoutMs = 15 * 60_000;

interface Waiting {
  readonly marker: string;
  readonly resolve: (output: string) => void;
}

/** Starts guestfish without an appliance: `add-drive` and `run` are commands like others. */
export function startGuestfish(settings: GuestfishSettings): Guestfish {
  const child = spawnGuestfish(settings);
  let output = '';
  let errors = '';
  let waiting: Waiting | undefined;
  let overflow = false;
  // One character a byte until the marker is found; what is text is decoded then.
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    output += text;
    overflow ||= output.length > maxOutputBytes;
    if (overflow) return void child.kill('SIGTERM');
    const end = waiting === undefined ? -1 : output.indexOf(waiting.marker);
    if (waiting === undefined || end < 0) return;
    const answer = output.slice(0, end);
    output = output.slice(end + waiting.marker.length).replace(/^\n/, '');
    waiting.resolve(answer);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-8192)));
  child.stdin.on('error', () => undefined);
  const ended = child.then((result) => result);

  const send = async (line: string | Buffer, command: string, timeoutMs: number): Promise<string> => {
    settings.signal?.throwIfAborted();
    const marker = `muster-${randomBytes(12).toString('hex')}`;
    let timer: NodeJS.Timeout | undefined;
    const answer = new Promise<string>((resolve) => (waiting = { marker, resolve }));
    const deadline = new Promise<'late'>((resolve) => (timer = setTimeout(resolve, timeoutMs, 'late')));
    child.stdin.write(Buffer.concat([Buffer.from(line), Buffer.from(`\necho ${marker}\n`)]));
    const first = await Promise.race([answer.then((text) => ({ text })), ended, deadline]);
    clearTimeout(timer);
    waiting = undefined;
    // Standard error was written first and is read in the same round of the event loop, perhaps after standard output.
    await new Promise((resolve) => setImmediate(resolve));
    if (first !== 'late' && 'text' in first) return first.text;
    settings.signal?.throwIfAborted();
    if (first === 'late') {
      child.kill('SIGTERM');
      throw new TransientError({ what: `guestfish did not finish ${command}`, found: `nothing after ${timeoutMs} ms` });
    }
    if (overflow) throw new PermanentError({ what: `guestfish ${command} printed too much`, needed: 'at most 4 MiB' });
    throw whatItSaid(command, errors, first.code);
  };

  const usualTimeoutMs = settings.commandTimeoutMs ?? defaultTimeoutMs;
  return {
    temporaryFolder: settings.temporaryFolder,
    ask: async (command, args = [], timeoutMs = usualTimeoutMs) =>
      asText(await send(guestfishLine(command, args), command, timeoutMs)),
    bytes: async (command, args = []) =>
      Buffer.from(await send(guestfishLine(command, args), command, usualTimeoutMs), 'latin1'),
    // A leading minus lets guestfish go on after the command failed (guestfish(1), "Exit on error behaviour").
    async attempt(command, args = [], timeoutMs = usualTimeoutMs) {
      errors = '';
      const output = asText(await send(`-${guestfishLine(command, args)}`, command, timeoutMs));
      return { output, error: errors.includes('error:') ? lastError(errors) : null, detail: errors.slice(-4096) };
    },
    async openEncrypted(device, name, key) {
      errors = '';
      const line = Buffer.from(`-${guestfishLine('cryptsetup-open', [device, name])}\n`);
      // guestfish reads the key from the line behind the command (--keys-from-stdin).
      await send(Buffer.concat([line, key]), 'cryptsetup-open', keyTimeoutMs);
      return errors.includes('error:') ? lastError(errors) : null;
    },
    async close() {
      child.stdin.end('umount-all\nshutdown\n');
      const result = await ended;
      settings.signal?.throwIfAborted();
      if (result.exitCode !== 0) throw whatItSaid('shutdown', errors, result.code);
    },
    async kill() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

const asText = (bytes: string) => Buffer.from(bytes, 'latin1').toString('utf8');

function spawnGuestfish(settings: GuestfishSettings) {
  // ionice -t: a host that knows no such class runs it all the same.
  const givingWay = settings.background === true ? ['nice', '-n', '19', 'ionice', '-t', '-c', '3'] : [];
  return execa('setpriv', ['--pdeathsig', 'KILL', '--', ...givingWay, 'guestfish', '--keys-from-stdin'], {
    reject: false,
    buffer: false,
    stdin: 'pipe',
    forceKillAfterDelay: 5_000,
    ...(settings.signal === undefined ? {} : { cancelSignal: settings.signal }),
    extendEnv: false,
    env: childEnvironment({
      LIBGUESTFS_BACKEND: 'direct',
      ...(settings.emulate === false ? {} : { LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg' }),
      // The appliance runs nothing that its own kernel has to be protected from by slow means; 768 MiB are enough for update-initramfs.
      LIBGUESTFS_APPEND: 'mitigations=off audit=0',
      LIBGUESTFS_MEMSIZE: String(settings.memoryMiB ?? 768),
      LIBGUESTFS_TMPDIR: settings.temporaryFolder,
    }),
  });
}

/** guestfish is over: what it said last. */
function whatItSaid(command: string, errors: string, code: string | undefined) {
  if (code === 'ENOENT') {
    return new OperatorError({
      what: 'guestfish cannot be started',
      needed: 'libguestfs on this host',
      remedy: 'Install it: apt-get install guestfish linux-image-amd64.',
    });
  }
  return new TransientError({
    what: `guestfish failed at ${command}`,
    found: lastError(errors),
    detail: errors.slice(-4096),
  });
}

function lastError(errors: string): string {
  const lines = errors
    .trim()
    .split('\n')
    .filter((line) => line.trim() !== '');
  const said = lines.filter((line) => line.includes('error:')).at(-1) ?? lines.at(-1) ?? 'no message';
  return printable(said.replace(/^.*?error: /, ''));
}

/**
 * Running other programs: argument lists, never a shell; children die with this process; a failure explains itself.
 *
 * Source of the `setpriv` wrapping: a SIGKILLed Node leaves its children running (measured); PR_SET_PDEATHSIG does not
 * survive a change of credentials, so it is set in the child right before it becomes the program.
 */
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { childEnvironment } from './environment';
import { limited, limitedEnvironment, limitError, type ProgramLimits } from './limits';
import { noteProgram } from './log';

export interface RunOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
  /** Text for standard input; without it standard input is empty. */
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Called with each line of standard output as it comes. */
  readonly onLine?: (line: string) => void;
  /** Called with each piece of standard output as it comes: for progress that is written over and over on one line. */
  readonly onText?: (text: string) => void;
  /** Exit codes that are an answer, not a failure. Default: 0. */
  readonly okExitCodes?: readonly number[];
  /** false: the program outlives this process (a daemon that detaches itself). */
  readonly dieWithParent?: boolean;
  /** For a program that reads what a guest wrote. */
  readonly limits?: ProgramLimits;
  /** Longest output, each of standard output and standard error; a program that prints more is ended. Default: 64 MiB. */
  readonly maxOutputBytes?: number;
}

export interface ProgramResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly durationMs: number;
}

/** A program that could not be run, or ended badly. `message`: reason, quoted command, then standard error. */
export class ProgramError extends Error {
  override readonly name = 'ProgramError';
  constructor(
    message: string,
    readonly shortMessage: string,
    readonly command: string,
    readonly exitCode: number | undefined,
    readonly stdout: string,
    readonly stderr: string,
    readonly timedOut: boolean,
    readonly cancelled: boolean,
    /** errno name when the program could not be started (ENOENT, EACCES). */
    readonly code: string | undefined,
    /** It was ended because it printed more than is read. */
    readonly tooMuchOutput = false,
  ) {
    super(message);
  }
}

const defaultMaxOutputBytes = 64 * 1024 * 1024;
/** How long the outputs of a program that has ended are waited for while nothing comes, and in all: who it left may hold them open. */
const [silenceMs, lastWordsMs] = [1_000, 10_000];

/**
 * Runs a program to its end and returns what it printed.
 *
 * @throws ProgramError when it cannot be started, exits with a code that is not ok, times out, prints too much, or is
 * cancelled (it gets SIGTERM, and SIGKILL five seconds later); OperatorError when it met one of its limits.
 */
export async function runProgram(
  file: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<ProgramResult> {
  const wrapped = wrap([file, ...args], options);
  const ok = options.okExitCodes ?? [0];
  const maxOutputBytes = options.maxOutputBytes ?? defaultMaxOutputBytes;
  const child = execa(wrapped[0]!, wrapped.slice(1), {
    reject: false,
    stripFinalNewline: false,
    // Collected here: execa would wait for a program that printed too much and goes on in silence, and would write all of
    // a long output into its error (64 MiB of short lines: 12 s in which nothing else runs, measured).
    buffer: false,
    forceKillAfterDelay: 5_000,
    ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
    extendEnv: false,
    env: environmentFor(options),
  });
  const output = collect(child, maxOutputBytes);
  const closed = new AbortController();
  child.once('exit', () => void closeOutputs(child, closed.signal).catch(() => undefined));
  if (options.onLine) {
    const onLine = options.onLine;
    void (async () => {
      for await (const line of child.iterable({ from: 'stdout' })) onLine(String(line));
    })().catch(() => undefined);
  }
  if (options.onText) {
    const onText = options.onText;
    child.stdout?.on('data', (chunk: Buffer) => onText(chunk.toString('utf8')));
  }
  const result = await child;
  closed.abort();
  const { tooMuch, stdout, stderr } = output();
  const code = errnoOf(result);
  const ended = { program: file, args, exitCode: result.exitCode, durationMs: result.durationMs };
  if (
    code === undefined &&
    !tooMuch &&
    !result.timedOut &&
    !result.isCanceled &&
    result.exitCode !== undefined &&
    ok.includes(result.exitCode)
  ) {
    noteProgram(ended);
    return { exitCode: result.exitCode, stdout, stderr, durationMs: Math.round(result.durationMs) };
  }
  const quoted = [file, ...args].map(quote).join(' ');
  const reason = tooMuch ? `Printed more than ${maxOutputBytes} bytes` : explain(result);
  noteProgram({ ...ended, reason });
  const atLimit = options.limits && limitError({ ...result, program: file, stderr }, options.limits);
  if (atLimit !== undefined && !result.timedOut && !result.isCanceled) throw atLimit;
  const shortMessage = `${reason}: ${quoted}`;
  const message = stderr.trim() === '' ? shortMessage : `${shortMessage}\n${tail(stderr)}`;
  throw new ProgramError(
    message,
    shortMessage,
    quoted,
    result.exitCode,
    stdout,
    stderr,
    result.timedOut,
    result.isCanceled,
    code,
    tooMuch,
  );
}

/**
 * What ends by itself is not cut short: after each wait, also one in which this process stood still, what has come is read first.
 *
 * @throws AbortError as soon as all is closed by itself
 */
async function closeOutputs({ stdout, stderr }: ReturnType<typeof execa>, closed: AbortSignal): Promise<void> {
  const outputs = [stdout, stderr].filter((stream) => stream != null);
  let heard = true;
  for (const stream of outputs) stream.on('data', () => (heard = true));
  for (let waited = 0; heard && waited < lastWordsMs; waited += silenceMs) {
    heard = false;
    await sleep(silenceMs, undefined, { ref: false, signal: closed });
    await setImmediate();
    await setImmediate();
  }
  for (const stream of outputs) stream.destroy();
}

interface Output {
  readonly tooMuch: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** Keeps what the program prints, and ends it as soon as one of its outputs is longer than it may be. */
function collect(child: ReturnType<typeof execa>, maxBytes: number): () => Output {
  let tooMuch = false;
  const [stdout, stderr] = [child.stdout, child.stderr].map((stream) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    stream?.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maxBytes) return void chunks.push(chunk);
      if (!tooMuch) child.kill();
      tooMuch = true;
    });
    return () => Buffer.concat(chunks).toString('utf8');
  });
  return () => ({ tooMuch, stdout: stdout!(), stderr: stderr!() });
}

function wrap(command: readonly string[], { limits, dieWithParent }: RunOptions): readonly string[] {
  const bounded = limits === undefined ? command : limited(command, limits);
  return dieWithParent === false ? bounded : ['setpriv', '--pdeathsig', 'KILL', '--', ...bounded];
}

const environmentFor = ({ limits, env }: RunOptions): NodeJS.ProcessEnv =>
  childEnvironment({ ...(limits === undefined ? {} : limitedEnvironment), ...env });

function explain(result: {
  exitCode?: number;
  signal?: string;
  timedOut: boolean;
  isCanceled: boolean;
  originalMessage?: string;
}) {
  if (result.timedOut) return 'Timed out';
  if (result.isCanceled) return 'Cancelled';
  if (result.signal !== undefined) return `Ended by ${result.signal}`;
  if (result.exitCode === undefined) return `Could not be started (${result.originalMessage ?? 'unknown reason'})`;
  return `Exit code ${result.exitCode}`;
}

/** errno name of a program that could not be started; execa puts it on its error, and Node's own codes of streams, too. */
function errnoOf(result: object): string | undefined {
  const isErrno = 'code' in result && typeof result.code === 'string' && /^E[A-Z0-9]+$/.test(result.code);
  return isErrno ? (result.code as string) : undefined;
}

/** The last 4 KiB, which is where tools say what went wrong. */
function tail(text: string): string {
  const trimmed = text.trim();
  return trimmed.length <= 4096 ? trimmed : `…${trimmed.slice(-4096)}`;
}

/** Quotes an argument the way a shell would need it, so that a person can paste the command. */
export function quote(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", String.raw`'\''`)}'`;
}

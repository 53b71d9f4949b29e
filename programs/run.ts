/**
 * Running other programs: argument lists, never a shell; children die with this process; a failure explains itself.
 *
 * Source of the `setpriv` wrapping: a SIGKILLed Node leaves its children running (measured); PR_SET_PDEATHSIG does not
 * survive a change of credentials, so it is set in the child right before it becomes the program.
 */
import { execa } from 'execa';
import { withoutSecretVariables } from './environment';
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
  ) {
    super(message);
  }
}

const maxBufferBytes = 64 * 1024 * 1024;

/**
 * Runs a program to its end and returns what it printed.
 *
 * @throws ProgramError when it cannot be started, exits with a code that is not ok, times out, or is cancelled (it gets
 * SIGTERM, and SIGKILL five seconds later).
 */
export async function runProgram(
  file: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<ProgramResult> {
  const wrapped =
    options.dieWithParent === false ? [file, ...args] : ['setpriv', '--pdeathsig', 'KILL', '--', file, ...args];
  const ok = options.okExitCodes ?? [0];
  const child = execa(wrapped[0]!, wrapped.slice(1), {
    reject: false,
    stripFinalNewline: false,
    maxBuffer: maxBufferBytes,
    forceKillAfterDelay: 5_000,
    ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
    extendEnv: false,
    env: { ...withoutSecretVariables(process.env), LC_ALL: 'C.UTF-8', ...options.env },
  });
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
  const stdout = typeof result.stdout === 'string' ? result.stdout : '';
  const stderr = typeof result.stderr === 'string' ? result.stderr : '';
  const code = errnoOf(result);
  const ended = { program: file, args, exitCode: result.exitCode, durationMs: result.durationMs };
  if (
    code === undefined &&
    !result.timedOut &&
    !result.isCanceled &&
    result.exitCode !== undefined &&
    ok.includes(result.exitCode)
  ) {
    noteProgram(ended);
    return { exitCode: result.exitCode, stdout, stderr, durationMs: Math.round(result.durationMs) };
  }
  const command = [file, ...args].map(quote).join(' ');
  const reason = explain(result);
  noteProgram({ ...ended, reason });
  const shortMessage = `${reason}: ${command}`;
  const message = stderr.trim() === '' ? shortMessage : `${shortMessage}\n${tail(stderr)}`;
  throw new ProgramError(
    message,
    shortMessage,
    command,
    result.exitCode,
    stdout,
    stderr,
    result.timedOut,
    result.isCanceled,
    code,
  );
}

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

/** errno name of a program that could not be started; execa puts it on its error. */
function errnoOf(result: object): string | undefined {
  return 'code' in result && typeof result.code === 'string' ? result.code : undefined;
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

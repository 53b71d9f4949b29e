/**
 * A program with everything that it starts, as one process group: ended together when its time is over, when it is cancelled,
 * when it itself ends, and when this process is gone. For programs that are not Muster's and may start others.
 *
 * PR_SET_PDEATHSIG reaches the first process only (prctl(2): cleared in the child of a fork), so a watcher outside of the group
 * holds a pipe to this process and kills the group when it closes.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { limited, type ProgramLimits } from './limits';
import { noteProgram } from './log';
import { watchStillness, type StillRule } from './still';

export interface GroupOptions {
  readonly cwd: string;
  /** The whole environment; nothing is added to it. Holds a PATH. */
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly limits: ProgramLimits;
  /** Of each output so many bytes from its beginning and from its end are kept. */
  readonly keepBytes: number;
  /** Text for standard input; without it standard input is empty. */
  readonly input?: string;
  /** Called with each line of standard output as it comes. */
  readonly onLine?: (line: string) => void;
  /** Ends a group that hangs before its time is over. */
  readonly still?: StillRule;
}

/** What is kept of an output. */
export interface Kept {
  readonly head: Buffer;
  /** Null: `head` is all of it. */
  readonly tail: Buffer | null;
  readonly totalBytes: number;
}

export interface GroupEnd {
  /** Null where a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly timedOut: boolean;
  /** It was ended because it did nothing any more. */
  readonly wasStill: boolean;
  readonly stdout: Kept;
  readonly stderr: Kept;
  readonly durationMs: number;
}

const graceMs = 5_000;
/** How long the outputs are waited for when all of the group is gone: whoever left it may hold them open. */
const lastWordsMs = 1_000;

/** @throws the signal's reason when it is aborted, once nothing of the group runs any more; Error when it cannot be started. */
export async function runGroup(file: string, args: readonly string[], options: GroupOptions): Promise<GroupEnd> {
  options.signal?.throwIfAborted();
  const startedMs = performance.now();
  const command = ['--pdeathsig', 'KILL', '--', ...limited([file, ...args], options.limits)];
  // First: a fork takes its time, and what the program has started by then nobody would end.
  const watcher = startWatcher();
  const child = spawn('setpriv', command, {
    ...{ cwd: options.cwd, env: options.env, detached: true },
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  child.stdin?.on('error', () => undefined).end(options.input);
  const outputs = [keep(child.stdout!, options.keepBytes), keep(child.stderr!, options.keepBytes)] as const;
  const closed = new Promise<void>((done) => child.once('close', () => done()));
  const exited = new Promise<{ exitCode: number | null; signal: string | null }>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }));
  });
  if (options.onLine) createInterface({ input: child.stdout! }).on('line', options.onLine);
  if (child.pid !== undefined) watcher.stdin!.write(`${child.pid}\n`);
  const ending = endInTime(child, options);
  try {
    const end = await exited;
    killGroup(child, 'SIGKILL');
    await Promise.race([closed, sleep(lastWordsMs, undefined, { ref: false })]);
    // What came while this process stood still is read first.
    await setImmediate();
    await setImmediate();
    options.signal?.throwIfAborted();
    const durationMs = Math.round(performance.now() - startedMs);
    noteProgram({ program: file, args: [], exitCode: end.exitCode ?? undefined, durationMs });
    const [stdout, stderr] = outputs.map((output) => output());
    return { ...end, ...ending.why(), stdout: stdout!, stderr: stderr!, durationMs };
  } finally {
    ending.stop();
    watcher.kill('SIGKILL');
    child.stdout?.destroy();
    child.stderr?.destroy();
  }
}

/** SIGTERM to all of the group at its deadline, when it hangs or when it is cancelled, SIGKILL a moment later. */
function endInTime(child: ChildProcess, { timeoutMs, signal, still }: GroupOptions) {
  let timedOut = false;
  let hard: NodeJS.Timeout | undefined;
  const end = (): void => {
    killGroup(child, 'SIGTERM');
    hard ??= setTimeout(() => killGroup(child, 'SIGKILL'), graceMs);
  };
  const timer = setTimeout(() => {
    timedOut = true;
    end();
  }, timeoutMs);
  signal?.addEventListener('abort', end, { once: true });
  const group = child.pid;
  const watch = still && group !== undefined && watchStillness(group, [child.stdout!, child.stderr!], still, end);
  return {
    why: () => ({ timedOut, wasStill: watch ? watch.found() : false }),
    stop(): void {
      if (watch) watch.stop();
      clearTimeout(timer);
      clearTimeout(hard);
      signal?.removeEventListener('abort', end);
    },
  };
}

function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // Nobody of the group is left.
  }
}

/** Is told the group's number; the text that sh reads is always the same. */
function startWatcher(): ChildProcess {
  const text = 'read -r group || exit 0; cat >/dev/null; kill -KILL "-$group"';
  const watcher = spawn('sh', ['-c', text], {
    ...{ detached: true, env: { PATH: '/usr/bin:/bin' } },
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watcher.on('error', () => undefined);
  watcher.stdin!.on('error', () => undefined);
  return watcher;
}

/** Keeps an output's beginning and end while it comes, however long it is. */
function keep(stream: NodeJS.ReadableStream, bytes: number): () => Kept {
  let head = Buffer.alloc(0);
  let tail = Buffer.alloc(0);
  let totalBytes = 0;
  stream.on('error', () => undefined);
  stream.on('data', (chunk: Buffer) => {
    totalBytes += chunk.length;
    const first = chunk.subarray(0, bytes - head.length);
    if (first.length > 0) head = Buffer.concat([head, first]);
    if (first.length < chunk.length) tail = Buffer.concat([tail, chunk.subarray(first.length)]).subarray(-bytes);
  });
  return () => ({ head, tail: tail.length === 0 ? null : tail, totalBytes });
}

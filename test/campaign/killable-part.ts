/** One part of a stack that is killed on purpose and started again, as `muster up` would, but when the campaign says. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describeEnd, logTail, type Part } from '../../stack/part';
import type { SupervisedPart } from '../../stack/supervise';
import type { PartName } from './plan';

export interface KillablePart {
  readonly name: PartName;
  readonly logFile: string;
  /** How often it was started, ended and killed, for the dump. */
  describe(): string;
  isUp(): boolean;
  /** Of its process while it is up. */
  pid(): number | undefined;
  /** SIGKILL now, started again `downMs` later. False: it was not up, nothing was done. */
  kill(downMs: number): boolean;
  /** Resolves when it is up, however often it has to be started. @throws why it was not at the deadline. */
  up(deadline: AbortSignal): Promise<void>;
  stop(): Promise<void>;
}

/** Between a death that the campaign did not order by `kill` (a fault rule killed it, it gave up) and the next start. */
const standardDownMs = 300;

/** Starts the part and keeps it up until `stop`. `say` gets one line for each death and each start. */
export function keepPart(
  name: PartName,
  what: SupervisedPart,
  logFile: string,
  say: (line: string) => void,
): KillablePart {
  const stopping = new AbortController();
  let part: Part | undefined;
  let downMs = standardDownMs;
  let starts = 0;
  let lastError = '';
  const waiting = new Set<() => void>();

  async function startOnce(): Promise<Part | undefined> {
    try {
      return await what.start(stopping.signal);
    } catch (error) {
      // Temporal may be down while a worker starts, or backends of a killed Postgres still hold its memory.
      lastError = error instanceof Error ? error.message : String(error);
      await sleep(standardDownMs);
      return undefined;
    }
  }

  async function keep(): Promise<void> {
    while (!stopping.signal.aborted) {
      part = await startOnce();
      if (part === undefined) continue;
      starts += 1;
      if (starts > 1) say(`${name} runs again`);
      for (const tell of waiting) tell();
      waiting.clear();
      const end = await part.ended;
      part = undefined;
      if (stopping.signal.aborted) return;
      say(`${name}: ${describeEnd(end)}`);
      await sleep(downMs);
      downMs = standardDownMs;
    }
  }
  const keeping = keep();
  return {
    name,
    logFile,
    describe: () =>
      `${name}: ${part === undefined ? `down (${lastError})` : `up as ${part.pid}`}, started ${starts} times`,
    isUp: () => part !== undefined,
    pid: () => part?.pid,
    kill(pauseMs) {
      if (part === undefined) return false;
      downMs = pauseMs;
      process.kill(part.pid, 'SIGKILL');
      return true;
    },
    async up(deadline) {
      if (part !== undefined) return;
      await new Promise<void>((done, fail) => {
        waiting.add(done);
        const late = (): void => fail(new Error(`${name} did not come up in time: ${lastError}`));
        if (deadline.aborted) late();
        deadline.addEventListener('abort', late, { once: true });
      });
    },
    async stop() {
      stopping.abort();
      if (part !== undefined) await what.end(part);
      await keeping;
    },
  };
}

/** The end of its log, for a failure's report. */
export async function lastLines(part: KillablePart, lines = 12): Promise<string> {
  return `--- ${part.describe()}; ${part.logFile}\n${await logTail(part.logFile, lines)}`;
}

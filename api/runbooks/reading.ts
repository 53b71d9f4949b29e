/**
 * Reads texts that anybody may send, so that no text keeps the API from answering others: a short one at once, a longer one in
 * a thread of its own with an end to its time and its memory, one after the other.
 *
 * Measured on one core of a small machine (yaml 2.9): 4,000,000 characters of a usual runbook take 3.6 s; 256,000 characters
 * of keys without values 9 s, of wrong escapes 40 s, because the parser compares each with each; 4,000,000 open brackets 34 s
 * and 3.6 GB. 16,000 characters of the same take 0.5 s at most.
 */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Inventory } from '../../model/runbook/check';
import type { LocatedProblem, RunbookProblem } from '../../model/runbook/problems';
import { openText } from '../../model/schema/open-text';
import { longestText } from '../../model/schema/read-runbook';
import type { RunbookFile } from '../../model/schema/runbook';
import { Problem } from '../problems';
import type { Asked, Read } from './reading-thread';

export interface Reading {
  readonly file: RunbookFile | undefined;
  readonly unreadable: readonly LocatedProblem[];
  /** It took too long: what is in it is not known, and another time it may be read. */
  readonly gaveUp?: true;
  check(inventory: Inventory | null, found?: readonly RunbookProblem[]): Promise<readonly LocatedProblem[]>;
}

export interface ReadingLimits {
  /** Longer texts are read in a thread. */
  readonly atOnceCharacters: number;
  readonly longestMs: number;
  readonly memoryMiB: number;
}

export const readingLimits: ReadingLimits = { atOnceCharacters: 16_000, longestMs: 30_000, memoryMiB: 1024 };
const mostWaiting = 8;

/**
 * Reads the text, lets `use` look at it, and gives up what was needed for it.
 *
 * @throws Problem `part-unavailable` while too many long texts wait to be read.
 */
export type Reader = <T>(text: string, use: (reading: Reading) => Promise<T>) => Promise<T>;

/** A reader with a queue of its own; `use` may read with another, never with the same. */
export function createReader(limits: ReadingLimits = readingLimits): Reader {
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();
  return async (text, use) => {
    if (text.length <= limits.atOnceCharacters || text.length > longestText) return use(atOnce(text));
    if (waiting >= mostWaiting) {
      const found = `${waiting} long runbooks wait to be read before this one`;
      throw new Problem('part-unavailable', `The runbook cannot be read now: found ${found}. Try again in a minute`);
    }
    waiting += 1;
    const turn = last.then(() => inThread(text, use, limits)).finally(() => (waiting -= 1));
    last = turn.catch(() => undefined);
    return turn;
  };
}

function atOnce(text: string): Reading {
  const open = openText(text);
  return { ...open, check: (inventory, found) => Promise.resolve(open.check(inventory, found)) };
}

async function inThread<T>(text: string, use: (reading: Reading) => Promise<T>, limits: ReadingLimits): Promise<T> {
  // Loaders that this process was started with are not its own: with `--import tsx` a thread never gets to its first line.
  const resourceLimits = { maxOldGenerationSizeMb: limits.memoryMiB };
  const worker = new Worker(threadSource, { eval: true, execArgv: [], resourceLimits });
  try {
    const read = await ask<Read>(worker, { kind: 'read', text }, limits);
    if ('tooMuch' in read) {
      return await use({ file: undefined, unreadable: [read.tooMuch], gaveUp: true, check: async () => [] });
    }
    return await use({
      ...read.answer,
      check: async (inventory, found = []) => {
        const checked = await ask<LocatedProblem[]>(worker, { kind: 'check', inventory, found }, limits);
        return 'tooMuch' in checked ? [checked.tooMuch] : checked.answer;
      },
    });
  } finally {
    await worker.terminate();
  }
}

/** A thread starts without the hook by which TypeScript is run as it is. */
const threadSource = [require.resolve('tsx/cjs'), join(__dirname, 'reading-thread.ts')]
  .map((path) => `require(${JSON.stringify(path)});`)
  .join('\n');

type Answer<T> = { readonly answer: T } | { readonly tooMuch: LocatedProblem };

function ask<T>(worker: Worker, asked: Asked, limits: ReadingLimits): Promise<Answer<T>> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => end(() => resolve(tooMuch(`${limits.longestMs / 1000} s`))), limits.longestMs);
    const answered = (answer: T): void => end(() => resolve({ answer }));
    const failed = (error: NodeJS.ErrnoException): void =>
      end(() => {
        if (error.code === 'ERR_WORKER_OUT_OF_MEMORY') resolve(tooMuch(`${limits.memoryMiB} MiB of memory`));
        else reject(error);
      });
    // Our own and no other: without Node's listeners the thread would never be heard again.
    function end(say: () => void): void {
      clearTimeout(timer);
      worker.off('message', answered).off('error', failed);
      say();
    }
    worker.on('message', answered).on('error', failed);
    worker.postMessage(asked);
  });
}

function tooMuch(limit: string): { tooMuch: LocatedProblem } {
  return {
    tooMuch: {
      severity: 'error',
      at: [],
      position: { line: 1, column: 1 },
      found: `a text that takes more than ${limit} to read`,
      needed: 'a runbook as people write them',
      remedy: 'Divide it: a runbook may include others. Thousands of mistakes take as long as thousands of servers.',
    },
  };
}

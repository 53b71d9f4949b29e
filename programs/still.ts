/**
 * Whether a program still does anything. A limit for its whole time has to allow for the largest disk on the slowest host; what
 * neither prints nor uses a processor is known to hang long before.
 */
import { readdir, readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/**
 * When a process group is taken to hang: for `forMs` it printed no line that counts, and used less than a tenth of a processor, or
 * complained meanwhile.
 */
export interface StillRule {
  readonly forMs: number;
  /** Lines that come by themselves while nothing is done. */
  readonly uncounted: RegExp;
  /** Of these, such as tell of a hang; after two of them it may be as busy as it likes. */
  readonly complaint: RegExp;
}

export interface StillWatch {
  readonly found: () => boolean;
  stop(): void;
}

const looksPerRule = 10;
const idleShare = 0.1;
const enoughComplaints = 2;

interface Look {
  readonly atMs: number;
  /** Processor time of the group so far, with that of children that have ended. */
  readonly seconds: number;
}

/** Calls `found` once for a group that is still. */
export function watchStillness(
  group: number,
  outputs: readonly Readable[],
  { forMs, uncounted, complaint }: StillRule,
  found: () => void,
): StillWatch {
  let since: Look | undefined;
  let looksSince = 0;
  let complaints = 0;
  let isStill = false;
  const readers = outputs.map((input) => createInterface({ input }));
  for (const reader of readers)
    reader.on('line', (line) => {
      if (complaint.test(line)) complaints += 1;
      else if (line.trim() !== '' && !uncounted.test(line)) [since, complaints] = [undefined, 0];
    });
  const look = async (): Promise<void> => {
    const before = since;
    const now = await lookAt(group);
    // Something was said meanwhile, or nothing is known yet.
    const works = before !== undefined && complaints < enoughComplaints && worked(before, now);
    if (before === undefined || since !== before || works) [since, looksSince] = [now, 0];
    // Counted, not timed: where this whole host stood still, so did the group.
    else if ((looksSince += 1) >= looksPerRule) {
      isStill = true;
      found();
    }
  };
  let isOver = false;
  let timer: NodeJS.Timeout | undefined;
  // One after the other: two at once would each take what the other has found for news, without end.
  const next = (): void => {
    if (isStill || isOver) return;
    timer = setTimeout(
      () =>
        void look()
          .catch(() => (since = undefined))
          .finally(next),
      forMs / looksPerRule,
    );
  };
  next();
  return {
    found: () => isStill,
    stop(): void {
      isOver = true;
      clearTimeout(timer);
      for (const reader of readers) reader.close();
    },
  };
}

/** proc(5): of /proc/PID/stat the fields 5 (process group) and 14 to 17 (processor time, in hundredths of a second), behind the name. */
async function lookAt(group: number): Promise<Look> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  // Who has ended meanwhile has no more file.
  const stats = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')));
  const fields = stats.map((stat) =>
    stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number),
  );
  const own = fields.filter((each) => each[2] === group).flatMap((each) => each.slice(11, 15));
  return { atMs: performance.now(), seconds: own.reduce((sum, ticks) => sum + ticks, 0) / 100 };
}

/** Less than before: one of its processes has ended. */
function worked(before: Look, now: Look): boolean {
  const seconds = now.seconds - before.seconds;
  return seconds < 0 || seconds > ((now.atMs - before.atMs) / 1000) * idleShare;
}

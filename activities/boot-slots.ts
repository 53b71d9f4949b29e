/**
 * How many machines of a site boot at the same time: a small host boots one after the other. Who boots stands in one file beside
 * the leases, on storage that all workers of the site share; it is changed under a lease, and an entry that nobody renews ends,
 * so that a run whose worker is gone for good keeps nobody waiting. Too many at once is slow, never wrong.
 *
 * Recovery goes before rehearsal. A recovery counts other recoveries alone: it boots beside the rehearsals that have places, however
 * many, because a boot takes minutes and it must not wait for one that nobody needs today; what that costs is that both boot more slowly.
 * A rehearsal counts all, with the first of the recoveries that wait: it cannot take the place that becomes free next.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Mode, RecoveryOrder } from '../model/order';
import type { Attempt } from './attempt';
import { pause, workAt } from './common';
import { withLease } from './lease';
import type { ActivityDeps } from './site';

interface Booting {
  readonly runId: string;
  /** Of the machine. */
  readonly name: string;
  /** UTC milliseconds. */
  readonly renewedAt: number;
  /** Absent: of an earlier version, which did not tell them apart; counted as a recovery. */
  readonly mode?: Mode;
  /** A recovery that does not boot yet, and has the next place. */
  readonly waits?: true;
}

/** Of a site: who changes its list of machines that boot. */
export const bootsResource = (siteId: string): string => `boots/${siteId}`;

export const bootSlotLifeMs = 3 * 60_000;
const renewEveryMs = 20_000;
/** The shortest wait between two looks; with many that wait in one process, each looks more rarely. */
const lookEveryMs = 500;

/** Waiting in this process, over all sites. */
let waiting = 0;

/**
 * `work` starts a machine: it waits until fewer than the order allows boot at the site, and this one counts among them from then
 * on until its boot is proven (`whileBooting`), unless it could not be started. No limit: at once.
 *
 * @returns how long it waited for its place, milliseconds
 */
export async function startsBooting(
  deps: ActivityDeps,
  order: RecoveryOrder,
  attempt: Attempt,
  work: () => Promise<void>,
): Promise<number> {
  const waitedMs = await takeBootSlot(deps, order, attempt);
  try {
    await work();
    return waitedMs;
  } catch (error) {
    if (!attempt.signal.aborted) await releaseBootSlot(deps, order, attempt);
    throw error;
  }
}

async function takeBootSlot(deps: ActivityDeps, order: RecoveryOrder, attempt: Attempt): Promise<number> {
  const { bootsAtOnce } = order;
  if (bootsAtOnce === undefined) return 0;
  const startedAt = performance.now();
  let looks = 0;
  const { site } = workAt(deps, order, attempt);
  waiting += 1;
  try {
    for (;;) {
      attempt.signal.throwIfAborted();
      const booting = await readBooting(site.leaseFolder, deps.now());
      const others = inTheWay(order, booting);
      looks += 1;
      if (others.length < bootsAtOnce && (await enter(deps, order, attempt, bootsAtOnce))) {
        return looks === 1 ? 0 : Math.round(performance.now() - startedAt);
      }
      if (isUnseen(order, booting, deps.now())) await change(deps, order, attempt, standFirst(order, deps.now()));
      sayWhat(attempt, bootsAtOnce, others);
      await pause(lookEveryMs * waiting, attempt.signal);
    }
  } finally {
    waiting -= 1;
  }
}

/** Those that this one waits for. */
const inTheWay = ({ runId, mode }: RecoveryOrder, booting: readonly Booting[]): Booting[] =>
  booting.filter((one) => one.runId !== runId && (mode === 'rehearsal' || (one.mode !== 'rehearsal' && !one.waits)));

/** Whether a recovery waits of which rehearsals cannot know: one entry stands for all, so that many write no more than one does. */
function isUnseen({ runId, mode }: RecoveryOrder, booting: readonly Booting[], nowMs: number): boolean {
  if (mode === 'rehearsal') return false;
  const known = booting.find(({ waits }) => waits);
  return known === undefined || (known.runId === runId && nowMs - known.renewedAt >= renewEveryMs);
}

const standFirst =
  ({ runId, target }: RecoveryOrder, renewedAt: number) =>
  (booting: readonly Booting[]): readonly Booting[] => {
    const others = booting.filter((one) => one.runId !== runId);
    if (others.some(({ waits }) => waits)) return booting;
    return [...others, { runId, name: target.machineName, renewedAt, mode: 'recovery', waits: true }];
  };

/** Keeps the slot, where there is one, while `work` runs, and gives it back when that has ended, well or not. */
export async function whileBooting<T>(
  deps: ActivityDeps,
  order: RecoveryOrder,
  attempt: Attempt,
  work: () => Promise<T>,
): Promise<T> {
  if (order.bootsAtOnce === undefined) return work();
  // What fails here fails the boot of nobody: the entry ends by itself.
  const renew = (): void => void change(deps, order, attempt, renewed(order, deps.now())).catch(() => undefined);
  const timer = setInterval(renew, renewEveryMs);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    // A worker that stops leaves it to the next attempt; an abort, to the undo of power-on.
    if (!attempt.signal.aborted) await releaseBootSlot(deps, order, attempt);
  }
}

export async function releaseBootSlot(deps: ActivityDeps, order: RecoveryOrder, attempt: Attempt): Promise<void> {
  if (order.bootsAtOnce === undefined) return;
  await change(deps, order, attempt, (booting) => booting.filter(({ runId }) => runId !== order.runId));
}

/** False: others were quicker. */
async function enter(deps: ActivityDeps, order: RecoveryOrder, attempt: Attempt, atOnce: number): Promise<boolean> {
  let entered = false;
  await change(deps, order, attempt, (booting) => {
    const { runId, target, mode } = order;
    entered = inTheWay(order, booting).length < atOnce;
    const mine = { runId, name: target.machineName, renewedAt: deps.now(), mode };
    return entered ? [...booting.filter((one) => one.runId !== runId), mine] : booting;
  });
  return entered;
}

const renewed =
  ({ runId }: RecoveryOrder, renewedAt: number) =>
  (booting: readonly Booting[]): readonly Booting[] =>
    booting.map((one) => (one.runId === runId ? { ...one, renewedAt } : one));

async function change(
  deps: ActivityDeps,
  order: RecoveryOrder,
  attempt: Attempt,
  to: (booting: readonly Booting[]) => readonly Booting[],
): Promise<void> {
  const { leaseFolder } = workAt(deps, order, attempt).site;
  await withLease(leaseFolder, bootsResource(order.target.siteId), attempt.effect, async () => {
    const next = to(await readBooting(leaseFolder, deps.now()));
    const file = bootingFile(leaseFolder);
    await writeFile(`${file}.new`, JSON.stringify(next), { mode: 0o600, flush: true });
    await rename(`${file}.new`, file);
  });
}

const bootingFile = (folder: string): string => join(folder, 'booting.json');

/** Without those that nobody renews any more. An entry of the future is of a clock that was set back: it has ended, too. */
async function readBooting(folder: string, nowMs: number): Promise<Booting[]> {
  const text = await readFile(bootingFile(folder), 'utf8').catch(() => '[]');
  try {
    const all = JSON.parse(text) as Booting[];
    return all.filter(({ renewedAt }) => Math.abs(nowMs - renewedAt) < bootSlotLifeMs);
  } catch {
    // Torn by a crash of the machine, with which everything that booted stopped.
    return [];
  }
}

const namesShown = 5;

function sayWhat(attempt: Attempt, atOnce: number, others: readonly Booting[]): void {
  const booting = others.filter(({ waits }) => !waits);
  const names = booting.slice(0, namesShown).map(({ name }) => name);
  const more = booting.length > namesShown ? ` and ${booting.length - namesShown} more` : '';
  const now = booting.length === 0 ? [] : [`${booting.length} of ${atOnce} boot now (${names.join(', ')}${more})`];
  const first = others.find(({ waits }) => waits);
  const before = first === undefined ? [] : [`the recovery ${first.name} goes before`];
  attempt.progress({
    label: `Waiting to boot: ${[...now, ...before].join('; ')}`,
    ...{ done: 0, total: null, unit: 'items', ratePerSecond: null, timeLeftMs: null },
  });
}

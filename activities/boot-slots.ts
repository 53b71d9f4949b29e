/**
 * How many machines of a site boot at the same time: a small host boots one after the other. Who boots stands in one file beside
 * the leases, on storage that all workers of the site share; it is changed under a lease, and an entry that nobody renews ends,
 * so that a run whose worker is gone for good keeps nobody waiting. Too many at once is slow, never wrong.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RecoveryOrder } from '../model/order';
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
 */
export async function startsBooting<T>(
  deps: ActivityDeps,
  order: RecoveryOrder,
  attempt: Attempt,
  work: () => Promise<T>,
): Promise<T> {
  await takeBootSlot(deps, order, attempt);
  try {
    return await work();
  } catch (error) {
    if (!attempt.signal.aborted) await releaseBootSlot(deps, order, attempt);
    throw error;
  }
}

async function takeBootSlot(deps: ActivityDeps, order: RecoveryOrder, attempt: Attempt): Promise<void> {
  const { bootsAtOnce } = order;
  if (bootsAtOnce === undefined) return;
  const { site } = workAt(deps, order, attempt);
  waiting += 1;
  try {
    for (;;) {
      attempt.signal.throwIfAborted();
      const others = (await readBooting(site.leaseFolder, deps.now())).filter(({ runId }) => runId !== order.runId);
      if (others.length < bootsAtOnce && (await enter(deps, order, attempt, bootsAtOnce))) return;
      sayWhat(attempt, bootsAtOnce, others);
      await pause(lookEveryMs * waiting, attempt.signal);
    }
  } finally {
    waiting -= 1;
  }
}

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
    const others = booting.filter(({ runId }) => runId !== order.runId);
    entered = others.length < atOnce;
    const mine = { runId: order.runId, name: order.target.machineName, renewedAt: deps.now() };
    return entered ? [...others, mine] : booting;
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

function sayWhat(attempt: Attempt, atOnce: number, booting: readonly Booting[]): void {
  const names = booting.slice(0, namesShown).map(({ name }) => name);
  const more = booting.length > namesShown ? ` and ${booting.length - namesShown} more` : '';
  attempt.progress({
    label: `Waiting to boot: ${booting.length} of ${atOnce} boot now (${names.join(', ')}${more})`,
    ...{ done: 0, total: null, unit: 'items', ratePerSecond: null, timeLeftMs: null },
  });
}

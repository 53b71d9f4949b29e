/**
 * What waits for people, of all runs. The store has it; with Postgres away the open runs themselves are asked, as far as they
 * answer, and the answer says so.
 */
import type { z } from '@hono/zod-openapi';
import { byUrgency, itemsOf } from '../model/stuck';
import type { Person, WaitingRow } from '../store/contract';
import type { ApiDeps } from './deps';
import { sees } from './reach';
import type { StuckDocument, stuckQuery } from './schemas/stuck';
import type { Execution } from './temporal/recoveries';
import type { FailingWatch } from './failing-watch';
import type { SiteWatch } from './site-watch';
import { within } from './within';

type Wanted = z.infer<typeof stuckQuery>;

/** Runs that are asked at once, and in all: each answers with its whole history. */
const askedAtOnce = 10;
const mostAsked = 200;
const liveDeadlineMs = 15_000;

/** What stands still without waiting for anybody. */
export interface Watches {
  readonly sites: Pick<SiteWatch, 'standstill'>;
  readonly failing: Pick<FailingWatch, 'words'>;
}

/** @throws Problem `part-unavailable` when neither Postgres nor Temporal answers. */
export async function listStuck(
  deps: ApiDeps,
  { sites, failing }: Watches,
  person: Person,
  wanted: Wanted,
): Promise<StuckDocument> {
  const page = await pageOf(deps, person, wanted);
  const inScope = sees(person);
  const asked = deps.config.siteIds.filter((id) => wanted.site === undefined || id === wanted.site);
  const standstill = sites.standstill(asked.filter((id) => inScope({ sites: [id], runbooks: [] })));
  const words = failing.words((run) => inScope(run) && (wanted.site === undefined || run.sites.includes(wanted.site)));
  const notices = [page.notice, standstill, words].filter((one) => one !== null);
  return { ...page, notice: notices.length === 0 ? null : notices.join(' ') };
}

async function pageOf(deps: ApiDeps, person: Person, wanted: Wanted): Promise<StuckDocument> {
  const { mine, unclaimed, ...filter } = wanted;
  const claimed = {
    ...(mine === 'true' ? { claimedBy: person.id } : {}),
    ...(unclaimed === 'true' ? { unclaimed: true } : {}),
  };
  const narrowed = { ...filter, ...claimed, scopes: person.scopes };
  try {
    const page = await within(deps.config.storeDeadlineMs, deps.store.parkings.list(narrowed));
    return { ...page, items: page.items.map((item) => shown(deps, item)), source: 'store', notice: null };
  } catch (error) {
    // A page that no list gave out is the reader's own mistake; all else is a store that does not answer.
    if (filter.after !== undefined) throw error;
    deps.log.warn({ err: error }, 'Postgres did not answer; the open runs are asked what waits');
    return askLive(deps, person, wanted);
  }
}

async function askLive(deps: ApiDeps, person: Person, wanted: Wanted): Promise<StuckDocument> {
  const executions = await deps.temporal.openRuns(deps.config.tenantId, mostAsked + 1);
  const { items, silent } = await askAll(deps, executions.slice(0, mostAsked));
  const inScope = sees(person);
  const fitting = items.filter(
    (item) =>
      inScope(item) &&
      (wanted.site === undefined || item.sites.includes(wanted.site)) &&
      (wanted.runbook === undefined || item.runbooks.includes(wanted.runbook)) &&
      (wanted.mode === undefined || item.mode === wanted.mode) &&
      (wanted.mine !== 'true' || item.claimedBy?.id === person.id) &&
      (wanted.unclaimed !== 'true' || item.claimedBy == null),
  );
  const count = Math.min(executions.length, mostAsked);
  const asked = count === 1 ? '1 open run was asked itself' : `${count} open runs were asked themselves`;
  const more = executions.length > mostAsked ? ` More than ${mostAsked} runs are open; the others were not asked.` : '';
  const away = silent === 0 ? '' : ` ${silent} of them did not answer: no worker, or too busy.`;
  const cut = fitting.length > wanted.limit ? ` Only the ${wanted.limit} most urgent are shown.` : '';
  return {
    items: fitting
      .sort(byUrgency)
      .slice(0, wanted.limit)
      .map((item) => shown(deps, item)),
    total: fitting.length,
    source: 'live',
    notice: `Postgres does not answer: ${asked}.${away}${more}${cut} Who was told is not known now.`,
  };
}

async function askAll(
  { temporal, log }: ApiDeps,
  executions: readonly Execution[],
): Promise<{ items: WaitingRow[]; silent: number }> {
  const waiting = [...executions];
  const items: WaitingRow[] = [];
  let silent = executions.length;
  const ask = async (): Promise<void> => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
      const live = await temporal.live(one).catch((error: unknown) => {
        log.warn({ err: error, runId: one?.memo.runId }, 'A running workflow could not be asked');
        return undefined;
      });
      if (live === undefined) continue;
      silent -= 1;
      const opened = live.events[0];
      const partOf =
        opened?.kind === 'run-opened' || opened?.kind === 'plan-opened' ? opened.data.order.partOf : undefined;
      items.push(...itemsOf(live.events, partOf?.runId ?? null).map((item) => ({ ...item, told: [] })));
    }
  };
  await within(liveDeadlineMs, Promise.all(Array.from({ length: askedAtOnce }, ask))).catch(() => undefined);
  // Who has not been asked by now is not asked any more.
  waiting.length = 0;
  return { items: [...items], silent };
}

function shown({ clock }: Pick<ApiDeps, 'clock'>, row: WaitingRow): StuckDocument['items'][number] {
  const { claimedBy = null, claimedAt = null, gate = null, approvals = [], half = null, ...item } = row;
  const waitingMs = Math.max(0, clock().getTime() - Date.parse(item.since));
  return {
    ...item,
    waitingMs,
    claimedBy,
    claimedAt,
    gate,
    approvals,
    half,
  } as unknown as StuckDocument['items'][number];
}

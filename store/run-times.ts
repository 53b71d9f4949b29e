/** How long runs took, written with the event that closes each, and read to tell what to expect of the next. */
import type { Knex } from 'knex';
import { runsLookedAt } from '../model/estimate/expected';
import { pastTimesOf, type PastTimes } from '../model/estimate/past';
import type { RunEvent } from '../model/events';
import { recoveryOptions } from '../model/replica';
import { storableText } from '../record/canonical';
import { eventOfRow, type ChainId } from '../record/row';
import type { RunTimes } from './contract';
import { select, type Database, type Scope } from './database';
import { readJournalRows, readOpening } from './journal-rows';

/** Of other servers of the same site: enough to find some of similar size. */
const ofSite = 200;

export function createRunTimes(database: Database, scope: Scope): RunTimes {
  return {
    past: ({ procedure, serverIds, siteIds }) =>
      database.query('the times of past runs could not be read', async (db) => {
        const at = [scope.tenantId, scope.coreId, procedure];
        const rows = await select<{ times: string }>(
          db,
          `${newest('server_id')} union ${newest('site_id')} order by closed_at desc, run_id desc`,
          [json(serverIds), recoveryOptions, ...at, runsLookedAt, json(siteIds), recoveryOptions, ...at, ofSite],
        );
        return rows.map(({ times }) => JSON.parse(times) as PastTimes);
      }),
  };
}

const json = (ids: readonly string[]): string => JSON.stringify(ids.map(storableText));

/** The newest runs of each server, or site, and option: the index gives just these, however many years there are. */
const newest = (column: 'server_id' | 'site_id'): string => `
  select past.* from jsonb_array_elements_text(?::jsonb) as asked (id)
    cross join unnest(?::text[]) as options (name)
    cross join lateral (
      select times, closed_at, run_id from muster.run_times
      where tenant_id = ? and core_id = ? and procedure = ? and ${column} = asked.id and option = options.name
      order by closed_at desc, run_id desc limit ?) as past`;

/** Keeps the run's times when this batch closes it; called under the chain's lock, in its transaction. */
export async function keepTimes(trx: Knex, chain: ChainId, events: readonly RunEvent[]): Promise<void> {
  const closing = events.find((event) => event.kind === 'run-closed');
  if (closing?.data.state !== 'succeeded') return;
  const opening = await readOpening(trx, chain);
  if (opening?.event.kind !== 'run-opened') return;
  const times = pastTimesOf(await allEvents(trx, chain));
  if (times === null) return;
  const { runId, procedure, option, serverId, siteId, closedAt } = times;
  const values = [runId, procedure, option, serverId, siteId, closedAt, JSON.stringify(times)];
  await select(
    trx,
    `insert into muster.run_times (tenant_id, core_id, run_id, procedure, option, server_id, site_id, closed_at, times)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing`,
    [chain.tenantId, chain.coreId, ...values.map(storableText)],
  );
}

async function allEvents(trx: Knex, chain: ChainId): Promise<RunEvent[]> {
  const page = 1000;
  const events: RunEvent[] = [];
  for (;;) {
    const rows = await readJournalRows(trx, chain, events.length, page);
    events.push(...rows.map(eventOfRow));
    if (rows.length < page) return events;
  }
}

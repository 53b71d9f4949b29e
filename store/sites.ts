/**
 * Since when nobody works at a site: Temporal forgets who polled after five minutes. How long it has been silent is counted by who
 * asks, because a poll's time is by Temporal's clock and says nothing beside another.
 */
import type { Knex } from 'knex';
import { siteNotice } from '../model/notify/site-notice';
import type { SitesSeen, SiteSeen } from './contract';
import { select, type Database, type Scope } from './database';
import { putNotice } from './notices';

interface SeenRow {
  site_id: string;
  last_poll_at: Date;
  absent_since: Date | null;
  absences: number;
}

export function createSitesSeen(database: Database, scope: Scope): SitesSeen {
  return {
    all: () =>
      database.query('the sites could not be read', async (db) => {
        const sql = 'select * from muster.sites_seen where tenant_id = ? and core_id = ? order by site_id';
        return (await select<SeenRow>(db, sql, [scope.tenantId, scope.coreId])).map(seenOf);
      }),
    saw: (siteId, lastPollAt, isSilent) =>
      database.transaction(`who works at site ${siteId} could not be kept`, (trx) =>
        saw(trx, scope, { siteId, lastPollAt, isSilent }),
      ),
  };
}

/**
 * A site that was never seen counts as seen now: its worker may be starting. One that had none has one when another poll is there: who
 * asks may have come later than it went. People are told in the same transaction.
 */
async function saw(
  trx: Knex,
  scope: Scope,
  look: { readonly siteId: string; readonly lastPollAt: string | null; readonly isSilent: boolean },
): Promise<SiteSeen> {
  const { siteId, isSilent } = look;
  const id = [scope.tenantId, scope.coreId, siteId];
  const polled = look.lastPollAt === null ? null : new Date(look.lastPollAt);
  await select(
    trx,
    `insert into muster.sites_seen (tenant_id, core_id, site_id, last_poll_at) values (?, ?, ?, coalesce(?::timestamptz, clock_timestamp()))
     on conflict do nothing`,
    [...id, polled],
  );
  const where = 'tenant_id = ? and core_id = ? and site_id = ?';
  const [before] = await select<SeenRow>(trx, `select * from muster.sites_seen where ${where} for update`, id);
  const lastPoll = polled ?? before!.last_poll_at;
  const isAnother = lastPoll.getTime() !== before!.last_poll_at.getTime();
  const wasAbsent = before!.absent_since !== null;
  const absent = isSilent || (wasAbsent && !isAnother);
  const absences = before!.absences + (absent && !wasAbsent ? 1 : 0);
  const since = absent ? (before!.absent_since ?? lastPoll) : null;
  await select(trx, `update muster.sites_seen set last_poll_at = ?, absent_since = ?, absences = ? where ${where}`, [
    lastPoll,
    since,
    absences,
    ...id,
  ]);
  if (absent !== wasAbsent) {
    const absence = { siteId, absences, since: (since ?? before!.absent_since!).toISOString() };
    await putNotice(trx, scope, siteNotice(absence, !absent), null);
  }
  return seenOf({ site_id: siteId, last_poll_at: lastPoll, absent_since: since, absences });
}

const seenOf = ({ site_id, last_poll_at, absent_since }: SeenRow): SiteSeen => ({
  siteId: site_id,
  lastPollAt: last_poll_at.toISOString(),
  absentSince: absent_since?.toISOString() ?? null,
});

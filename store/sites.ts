/** Since when nobody works at a site: Temporal forgets who polled after five minutes. */
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
    saw: (siteId, lastPollAt, silentMs, now) =>
      database.transaction(`who works at site ${siteId} could not be kept`, (trx) =>
        saw(trx, scope, { siteId, lastPollAt, silentMs, now }),
      ),
  };
}

/** A site that was never seen counts as seen now: its worker may be starting. People are told in the same transaction. */
async function saw(
  trx: Knex,
  scope: Scope,
  look: { readonly siteId: string; readonly lastPollAt: string | null; readonly silentMs: number; readonly now: Date },
): Promise<SiteSeen> {
  const { siteId, now } = look;
  const id = [scope.tenantId, scope.coreId, siteId];
  const polled = look.lastPollAt === null ? null : new Date(look.lastPollAt);
  await select(
    trx,
    `insert into muster.sites_seen (tenant_id, core_id, site_id, last_poll_at) values (?, ?, ?, ?) on conflict do nothing`,
    [...id, polled ?? now],
  );
  const where = 'tenant_id = ? and core_id = ? and site_id = ?';
  const [before] = await select<SeenRow>(trx, `select * from muster.sites_seen where ${where} for update`, id);
  const lastPoll = polled !== null && polled > before!.last_poll_at ? polled : before!.last_poll_at;
  const absent = now.getTime() - lastPoll.getTime() > look.silentMs;
  const wasAbsent = before!.absent_since !== null;
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

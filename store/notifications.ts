/**
 * Notifications: taken by one sender at a time, marked when they were sent, tried again when not.
 *
 * A sender holds its parcel by a lease, not by a transaction, because a mail server may take minutes. Killed between sending and
 * saying so, its parcel is sent again under the same id once the lease is over: at least once, never silently never.
 *
 * Every time is Postgres': the clocks of those who send may differ. That clock may be set back, too: what would wait for longer than
 * anything is put off, or has not been tried and was made later than it is now, is due.
 */
import type { Knex } from 'knex';
import { v7 as uuidv7 } from 'uuid';
import { longestPauseMs, parcelsOf, pauseAfterMs } from '../model/notify/digest';
import type { Channel, Notice } from '../model/notify/notice';
import { sparedByClaim } from '../model/notify/notices';
import type { Provenance } from '../model/order';
import type { RunProjection } from '../model/run-projection';
import { storableText } from '../record/canonical';
import { clockOf, lockName, select, type Database, type Scope } from './database';
import { extendInstallation } from './journal';
import { addressNotices, putNotice } from './notices';
import { countUndelivered, listNotifications } from './notification-lists';
import type { Notifications, Parcel } from './notifications-contract';
import { toldEvent } from './told';

/** Notifications that one message may be made of. */
const mostInParcel = 2_000;

interface DueRow {
  notificationId: string;
  runId: string | null;
  recipient: string;
  cause: string;
  notice: string;
}

export function createNotifications(database: Database, scope: Scope): Notifications {
  return {
    put: (notice, rules) =>
      database.transaction('a notice could not be kept', (trx) => putNotice(trx, scope, notice, rules ?? null)),
    address: (rules) =>
      database.transaction('the notices could not be addressed', (trx) => addressNotices(trx, scope, rules)),
    take: (channel, leaseMs) =>
      database.transaction('the notifications that are due could not be taken', async (trx) =>
        take(trx, scope, channel, { now: await clockOf(trx), leaseMs }),
      ),
    sent: (parcel, by) =>
      database.transaction('what was sent could not be recorded', async (trx) =>
        sent(trx, scope, parcel, by, await clockOf(trx)),
      ),
    failed: (parcel, by, why) =>
      database.transaction('what could not be sent could not be recorded', async (trx) =>
        failed(trx, scope, parcel, by, why, await clockOf(trx)),
      ),
    list: (filter) =>
      database.query('the notifications could not be listed', (db) => listNotifications(db, scope, filter)),
    ofRun: (runId, epoch) =>
      database.query(`who was told of run ${runId} could not be read`, (db) =>
        listNotifications(db, scope, { runId, limit: mostInParcel, ...(epoch === undefined ? {} : { epoch }) }).then(
          (newestFirst) => newestFirst.reverse(),
        ),
      ),
    undelivered: () =>
      database.query('the notifications could not be counted', async (db) =>
        countUndelivered(db, scope, await clockOf(db)),
      ),
  };
}

interface Turn {
  readonly now: Date;
  readonly leaseMs: number;
}

/** Senders choose one after the other, so that what belongs together goes together; they send side by side. */
async function take(trx: Knex, scope: Scope, channel: Channel, turn: Turn): Promise<Parcel | undefined> {
  await lockName(trx, `notifications ${scope.tenantId}/${scope.coreId}/${channel}`);
  for (;;) {
    const chosen = (await nextDue(trx, scope, channel, turn)) ?? (await leftOver(trx, scope, channel, turn));
    if (chosen === undefined) return undefined;
    const open = await settle(trx, scope, chosen.rows, turn.now);
    const [first] = open;
    if (first === undefined) continue;
    await lease(trx, scope, chosen.parcelId, open, turn);
    const notices = open.map((row) => JSON.parse(row.notice) as Notice);
    return { parcelId: chosen.parcelId, channel, to: first.recipient, notices };
  }
}

interface Chosen {
  readonly parcelId: string;
  readonly rows: readonly DueRow[];
}

const dueColumns = `n.notification_id as "notificationId", n.run_id as "runId", n.recipient, o.cause, o.notice
  from muster.notifications n
  join muster.notices o on o.tenant_id = n.tenant_id and o.core_id = n.core_id and o.notice_id = n.notice_id
  where n.tenant_id = ? and n.core_id = ? and n.state = 'due' and n.channel = ?`;

/** A parcel whose sender never came back, or a call that failed and whose pause is over: as it was. */
async function leftOver(
  trx: Knex,
  scope: Scope,
  channel: Channel,
  { now, leaseMs }: Turn,
): Promise<Chosen | undefined> {
  const at = [scope.tenantId, scope.coreId, channel];
  const [left] = await select<{ parcel_id: string }>(
    trx,
    `select parcel_id from muster.notifications where tenant_id = ? and core_id = ? and channel = ? and state = 'due'
     and (leased_until <= ? or leased_until > ?) and parcel_id is not null order by leased_until limit 1`,
    [...at, now, later(now, Math.max(leaseMs, longestPauseMs))],
  );
  if (left === undefined) return undefined;
  const rows = await select<DueRow>(
    trx,
    `select ${dueColumns} and n.parcel_id = ? order by n.notification_id for update of n`,
    [...at, left.parcel_id],
  );
  return { parcelId: left.parcel_id, rows };
}

async function nextDue(trx: Knex, scope: Scope, channel: Channel, { now }: Turn): Promise<Chosen | undefined> {
  const at = [scope.tenantId, scope.coreId, channel];
  const due = [now, later(now, longestPauseMs), now];
  const [first] = await select<{ recipient: string }>(
    trx,
    `select recipient from muster.notifications where tenant_id = ? and core_id = ? and channel = ? and state = 'due'
     and leased_until is null and (due_at <= ? or due_at > ? or (attempts = 0 and made_at > ?))
     order by due_at, notification_id limit 1`,
    [...at, ...due],
  );
  if (first === undefined) return undefined;
  const rows = await select<DueRow>(
    trx,
    `select ${dueColumns} and n.leased_until is null and n.recipient = ?
       and (n.due_at <= ? or n.due_at > ? or (n.attempts = 0 and n.made_at > ?))
     order by n.due_at, n.notification_id limit ${mostInParcel} for update of n skip locked`,
    [...at, first.recipient, ...due],
  );
  const [parcel] = parcelsOf(rows);
  if (parcel === undefined) return undefined;
  // A call is an event by itself; a mail says all that there is to say.
  const joined = channel === 'mail' ? await joining(trx, scope, first.recipient, parcel) : [];
  return { parcelId: uuidv7(), rows: [...parcel, ...joined] };
}

/** What the recipient is to be told of the same causes later: servers that stick seconds apart would be as many mails seconds apart. */
async function joining(trx: Knex, scope: Scope, recipient: string, parcel: readonly DueRow[]): Promise<DueRow[]> {
  const causes = [...new Set(parcel.map(({ cause }) => cause))];
  const room = mostInParcel - parcel.length;
  if (room <= 0) return [];
  return select<DueRow>(
    trx,
    `select ${dueColumns} and n.leased_until is null and n.attempts = 0 and n.recipient = ? and o.cause = any(?)
       and not n.notification_id = any(?)
     order by n.due_at, n.notification_id limit ${room} for update of n skip locked`,
    [
      ...[scope.tenantId, scope.coreId, 'mail', recipient],
      ...[causes, parcel.map(({ notificationId }) => notificationId)],
    ],
  );
}

/** Leaves out what nobody waits for any more, because its parking has ended, and early reminders of what somebody has taken. */
async function settle(trx: Knex, scope: Scope, rows: readonly DueRow[], now: Date): Promise<DueRow[]> {
  const runIds = [...new Set(rows.flatMap(({ runId }) => runId ?? []))];
  const open = await openEpochs(trx, scope, runIds);
  const claimed = await claimedEpochs(trx, scope, runIds);
  const over = rows.filter(({ runId, notice: text }) => {
    const notice = JSON.parse(text) as Notice;
    const { key, occasion, epoch } = notice;
    // What is of a run, and no parking of it, has a key of its own.
    if (runId === null || key !== runId || (occasion !== 'stuck' && occasion !== 'gate')) return false;
    const epochs = open.get(runId);
    return (epochs !== undefined && !epochs.has(epoch)) || (sparedByClaim(notice) && claimed.has(`${runId} ${epoch}`));
  });
  await update(trx, scope, over, `state = 'settled', ended_at = ?, parcel_id = null, leased_until = null`, [now]);
  return rows.filter((row) => !over.includes(row));
}

async function openEpochs(trx: Knex, scope: Scope, runIds: readonly string[]): Promise<Map<string, Set<number>>> {
  if (runIds.length === 0) return new Map();
  const rows = await select<{ run_id: string; projection: string }>(
    trx,
    `select run_id, projection from muster.runs where tenant_id = ? and core_id = ? and run_id in (${marks(runIds)})`,
    [scope.tenantId, scope.coreId, ...runIds],
  );
  const epochs = ({ open }: RunProjection) => new Set(open.map(({ epoch }) => epoch));
  return new Map(rows.map((row) => [row.run_id, epochs(JSON.parse(row.projection) as RunProjection)]));
}

async function claimedEpochs(trx: Knex, scope: Scope, runIds: readonly string[]): Promise<Set<string>> {
  const rows = await select<{ run_id: string; epoch: number }>(
    trx,
    `select run_id, epoch from muster.parkings
     where tenant_id = ? and core_id = ? and run_id = any(?) and claimed_by is not null`,
    [scope.tenantId, scope.coreId, runIds],
  );
  return new Set(rows.map(({ run_id, epoch }) => `${run_id} ${epoch}`));
}

const later = (now: Date, byMs: number): Date => new Date(now.getTime() + byMs);

const marks = (values: readonly unknown[]): string => values.map(() => '?').join(', ');

async function lease(trx: Knex, scope: Scope, parcelId: string, rows: readonly DueRow[], turn: Turn): Promise<void> {
  const until = later(turn.now, turn.leaseMs);
  await update(trx, scope, rows, 'parcel_id = ?, leased_until = ?', [parcelId, until]);
}

async function update(
  trx: Knex,
  scope: Scope,
  rows: readonly { notificationId: string }[],
  set: string,
  values: readonly (string | Date)[],
): Promise<void> {
  if (rows.length === 0) return;
  const ids = rows.map(({ notificationId }) => notificationId);
  const where = `tenant_id = ? and core_id = ? and notification_id in (${marks(ids)})`;
  await select(trx, `update muster.notifications set ${set} where ${where}`, [
    ...values,
    ...[scope.tenantId, scope.coreId],
    ...ids,
  ]);
}

async function sent(trx: Knex, scope: Scope, parcel: Parcel, by: Provenance, now: Date): Promise<void> {
  const rows = await select(
    trx,
    `update muster.notifications set state = 'sent', ended_at = ?, attempts = attempts + 1, error = null, leased_until = null
     where tenant_id = ? and core_id = ? and parcel_id = ? and state = 'due' returning notification_id`,
    [now, scope.tenantId, scope.coreId, parcel.parcelId],
  );
  if (rows.length > 0) await extendInstallation(trx, scope, toldEvent(parcel, by, now, null));
}

async function failed(
  trx: Knex,
  scope: Scope,
  parcel: Parcel,
  by: Provenance,
  why: { readonly error: string; readonly forGood: boolean; readonly giveUpMs: number },
  now: Date,
): Promise<void> {
  const at = [scope.tenantId, scope.coreId, parcel.parcelId];
  const rows = await select<{ notificationId: string; attempts: number; made_at: Date }>(
    trx,
    `select notification_id as "notificationId", attempts, made_at from muster.notifications
     where tenant_id = ? and core_id = ? and parcel_id = ? and state = 'due' for update`,
    at,
  );
  if (rows.length === 0) return;
  const error = storableText(why.error.slice(0, 1_000));
  const isOver = (row: { made_at: Date }) => why.forGood || now.getTime() - row.made_at.getTime() >= why.giveUpMs;
  const over = rows.filter(isOver);
  const common = 'attempts = attempts + 1, error = ?';
  const apart = 'parcel_id = null, leased_until = null';
  await update(trx, scope, over, `state = 'failed', ended_at = ?, ${common}, ${apart}`, [now, error]);
  const failures = Math.max(...rows.map(({ attempts }) => attempts)) + 1;
  const again = later(now, pauseAfterMs(failures));
  const rest = rows.filter((row) => !isOver(row));
  // A receiver of calls may have taken what was never answered, and knows it again by its id. Mails are for people: those that wait
  // for the same one go together once they can, and the oldest decides for all.
  const until = parcel.channel === 'webhook' ? 'leased_until = ?' : `${apart}, due_at = ?`;
  await update(trx, scope, rest, `${until}, ${common}`, [again, error]);
  if (over.length > 0) await extendInstallation(trx, scope, toldEvent(parcel, by, now, error));
}

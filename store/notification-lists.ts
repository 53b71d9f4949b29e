/** Notifications as people read them: recent ones, those of a run, and how many could not be delivered. */
import type { Knex } from 'knex';
import type { Channel, Notice } from '../model/notify/notice';
import { storableText } from '../record/canonical';
import { select, type Scope } from './database';
import type { Notification, NotificationState, Undelivered } from './notifications-contract';

interface ListedRow {
  notificationId: string;
  runId: string | null;
  channel: Channel;
  to: string;
  state: NotificationState;
  made_at: Date;
  ended_at: Date | null;
  attempts: number;
  error: string | null;
  notice: string;
}

export async function listNotifications(
  db: Knex,
  scope: Scope,
  filter: {
    readonly state?: NotificationState;
    readonly runId?: string;
    readonly epoch?: number;
    readonly limit: number;
  },
): Promise<Notification[]> {
  const conditions = ['n.tenant_id = ?', 'n.core_id = ?'];
  const bindings: (string | number)[] = [scope.tenantId, scope.coreId];
  const narrow = (condition: string, value: string | number): void => {
    conditions.push(condition);
    bindings.push(value);
  };
  if (filter.state !== undefined) narrow('n.state = ?', filter.state);
  if (filter.runId !== undefined) narrow('n.run_id = ?', storableText(filter.runId));
  if (filter.epoch !== undefined) narrow('n.epoch = ?', filter.epoch);
  const rows = await select<ListedRow>(
    db,
    `select n.notification_id as "notificationId", n.run_id as "runId", n.channel, n.recipient as "to", n.state, n.made_at, n.ended_at,
       n.attempts, n.error, o.notice
     from muster.notifications n
     join muster.notices o on o.tenant_id = n.tenant_id and o.core_id = n.core_id and o.notice_id = n.notice_id
     where ${conditions.join(' and ')} order by n.made_at desc, n.notification_id desc limit ?`,
    [...bindings, filter.limit],
  );
  return rows.map(listed);
}

function listed({ made_at, ended_at, notice, ...row }: ListedRow): Notification {
  const { key, epoch, occasion, stage, facts } = JSON.parse(notice) as Notice;
  return {
    ...row,
    key,
    epoch,
    occasion,
    stage,
    name: facts.name,
    madeAt: made_at.toISOString(),
    endedAt: ended_at?.toISOString() ?? null,
  };
}

const failuresShownMs = 24 * 3_600_000;

export async function countUndelivered(db: Knex, scope: Scope, now: Date): Promise<Undelivered> {
  const [row] = await select<{ due: number; since: Date | null; failed: number }>(
    db,
    `select count(*) filter (where state = 'due')::int as due, min(made_at) filter (where state = 'due') as since,
       count(*) filter (where state = 'failed' and ended_at > ?)::int as failed
     from muster.notifications where tenant_id = ? and core_id = ? and (state = 'due' or made_at > ?)`,
    [
      new Date(now.getTime() - failuresShownMs),
      scope.tenantId,
      scope.coreId,
      // Indexed by when they were made: given up a day later at the most, by default.
      new Date(now.getTime() - 8 * failuresShownMs),
    ],
  );
  return { due: row?.due ?? 0, dueSince: row?.since?.toISOString() ?? null, failed: row?.failed ?? 0 };
}

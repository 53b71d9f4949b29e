/**
 * Notices: put with the journal's batches, in their transaction; addressed once they are due. That is counted from when they were
 * written down, by Postgres' clock: an event's time is that of another host.
 */
import type { Knex } from 'knex';
import { v7 as uuidv7 } from 'uuid';
import type { RunEvent } from '../model/events';
import { causeOf, recipientsOf, type Notice, type Recipient } from '../model/notify/notice';
import { asReminder, mayTell, noticesOf } from '../model/notify/notices';
import type { RunProjection } from '../model/run-projection';
import { deepestInclusion } from '../model/runbook/check-order';
import type { NotificationRule, Occasion } from '../model/runbook/runbook';
import { storableText } from '../record/canonical';
import type { ChainId } from '../record/row';
import { clockOf, select, type Scope } from './database';
import { readOpening } from './journal-rows';
import type { AddressingRules } from './notifications-contract';

/** What of a batch people are told; called under the chain's lock, in its transaction, after the run's row was written. */
export async function putNotices(
  trx: Knex,
  chain: ChainId,
  parentRunId: string | null,
  events: readonly RunEvent[],
): Promise<void> {
  if (!mayTell(events)) return;
  const [row] = await select<{ projection: string }>(
    trx,
    'select projection from muster.runs where tenant_id = ? and core_id = ? and run_id = ?',
    [chain.tenantId, chain.coreId, chain.runId],
  );
  if (row === undefined) return;
  const { procedure, mode, serverName: name } = JSON.parse(row.projection) as RunProjection;
  const context = { runId: chain.runId, parentRunId, procedure, mode, name };
  for (const notice of noticesOf(context, events)) await putNotice(trx, chain, notice, null);
}

/** A reminder without the notice that it is of (a record from before there were notices) is left out. */
export async function putNotice(
  trx: Knex,
  scope: Scope,
  made: Notice,
  rules: readonly NotificationRule[] | null,
): Promise<void> {
  const notice = made.stage > 0 && made.facts.run !== null ? await withItsParking(trx, scope, made) : made;
  if (notice === undefined) return;
  const { key, epoch, occasion, stage, facts } = notice;
  const text = (value: string | null): string | null => (value === null ? null : storableText(value));
  await select(
    trx,
    `insert into muster.notices (tenant_id, core_id, notice_id, key, epoch, occasion, stage, run_id, parent_run_id, cause, notice, rules,
       state, due_at, made_at)
     select ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'new', made.at, made.at
     from (select date_trunc('milliseconds', clock_timestamp()) as at) as made on conflict do nothing`,
    [
      ...[scope.tenantId, scope.coreId, uuidv7(), storableText(key), epoch, occasion, stage],
      ...[text(facts.run?.runId ?? null), text(facts.run?.parentRunId ?? null)],
      ...[storableText(causeOf(occasion, stage, facts)), JSON.stringify(notice)],
      ...[rules === null ? null : JSON.stringify(rules)],
    ],
  );
}

async function withItsParking(trx: Knex, scope: Scope, later: Notice): Promise<Notice | undefined> {
  const [row] = await select<{ notice: string }>(
    trx,
    `select notice from muster.notices where tenant_id = ? and core_id = ? and key = ? and epoch = ? and stage = 0
     and occasion in ('stuck', 'gate')`,
    [scope.tenantId, scope.coreId, storableText(later.key), later.epoch],
  );
  return row && asReminder(JSON.parse(row.notice) as Notice, later);
}

interface NewNotice {
  notice_id: string;
  run_id: string | null;
  parent_run_id: string | null;
  cause: string;
  notice: string;
  rules: string | null;
  made_at: Date;
}

/** Notices that one transaction addresses. */
const atOnce = 200;
/** So long the rules of a plan whose first event has not come in yet are waited for. */
const rulesWithinMs = 10 * 60_000;
const askAgainMs = 5_000;

/**
 * Gives each notice that is due its notifications. Several may do this at once: each takes others. What was made later than it is
 * now is due, too: the clock has been set back, and nobody waits until it has caught up.
 */
export async function addressNotices(trx: Knex, scope: Scope, rules: AddressingRules): Promise<number> {
  const now = await clockOf(trx);
  const at = [scope.tenantId, scope.coreId];
  const rows = await select<NewNotice>(
    trx,
    `select notice_id, run_id, parent_run_id, cause, notice, rules, made_at from muster.notices
     where tenant_id = ? and core_id = ? and state = 'new' and (due_at <= ? or made_at > ?)
     order by due_at limit ${atOnce} for update skip locked`,
    [...at, now, now],
  );
  const addressing = new Addressing(trx, scope, rules, now);
  const outcomes: Record<Outcome, string[]> = { addressed: [], settled: [], later: [] };
  for (const row of rows) outcomes[await addressing.address(row)].push(row.notice_id);
  const update = async (set: string, value: string | Date, ids: readonly string[]): Promise<void> => {
    if (ids.length === 0) return;
    const where = 'tenant_id = ? and core_id = ? and notice_id = any(?)';
    await select(trx, `update muster.notices set ${set} where ${where}`, [value, ...at, ids]);
  };
  await update('state = ?', 'addressed', outcomes.addressed);
  await update('state = ?', 'settled', outcomes.settled);
  await update('due_at = ?', new Date(now.getTime() + askAgainMs), outcomes.later);
  return rows.length;
}

/** settled: nobody needs to know any more. later: whom to tell is not known yet. */
type Outcome = 'addressed' | 'settled' | 'later';

/** Whom the runbook of a run tells, and the plan above it; a server's run has no rules of its own, and a clean-up its rehearsal's. */
interface Opening {
  readonly notify: readonly NotificationRule[];
  readonly above: string | null;
}

/** A server's run, and as many plans as may stand within each other. */
const mostAbove = 1 + deepestInclusion;

const naming = (rules: readonly NotificationRule[], occasion: Occasion): NotificationRule[] =>
  rules.filter(({ on }) => on.includes(occasion));

/** One round: what was asked once is remembered, because hundreds of servers share a plan, a cause and a recipient. */
class Addressing {
  private readonly openings = new Map<string, Opening | null>();
  private readonly lastSent = new Map<string, number | null>();

  constructor(
    private readonly trx: Knex,
    private readonly scope: Scope,
    private readonly rules: AddressingRules,
    private readonly now: Date,
  ) {}

  async address(row: NewNotice): Promise<Outcome> {
    const notice = JSON.parse(row.notice) as Notice;
    // An earlier version made it when the run began, to be told at 80 % of its RTO whatever has become of it.
    if (notice.occasion === 'objective-at-risk' && notice.key === row.run_id) return 'settled';
    const found = await this.rulesFor(row, notice.occasion);
    if (found === null && Math.abs(this.now.getTime() - row.made_at.getTime()) < rulesWithinMs) return 'later';
    const rules = found === null || found.length === 0 ? this.rules.defaults : found;
    for (const recipient of recipientsOf(rules, notice.occasion)) await this.notify(row, notice, recipient);
    return 'addressed';
  }

  /** Those of the nearest that name the occasion; null: a plan that may have some is not in the journal yet. */
  private async rulesFor(row: NewNotice, occasion: Occasion): Promise<readonly NotificationRule[] | null> {
    if (row.rules !== null) return naming(JSON.parse(row.rules) as NotificationRule[], occasion);
    let runId = row.run_id;
    for (let depth = 0; runId !== null && depth < mostAbove; depth += 1) {
      const opening = await this.openingOf(runId);
      if (opening === null) return null;
      const rules = naming(opening.notify, occasion);
      if (rules.length > 0) return rules;
      runId = opening.above;
    }
    return [];
  }

  /** null: its first event has not come in yet. */
  private async openingOf(runId: string): Promise<Opening | null> {
    const known = this.openings.get(runId);
    if (known !== undefined) return known;
    const first = await readOpening(this.trx, { ...this.scope, runId });
    const event = first?.event;
    const notify = event?.kind === 'plan-opened' ? event.data.order.plan.notify : [];
    const rehearsedIn = event?.kind === 'run-opened' ? event.data.order.rehearsedIn?.runId : undefined;
    const opening = first === undefined ? null : { notify, above: first.parentRunId ?? rehearsedIn ?? null };
    this.openings.set(runId, opening);
    return opening;
  }

  private async notify(row: NewNotice, notice: Notice, { channel, to }: Recipient): Promise<void> {
    const { tenantId, coreId } = this.scope;
    const quietUntil = channel === 'mail' ? await this.quietUntil(row.cause, to) : 0;
    const due = new Date(Math.max(this.now.getTime() + this.rules.windowMs, quietUntil));
    await select(
      this.trx,
      `insert into muster.notifications (tenant_id, core_id, notification_id, notice_id, run_id, epoch, channel, recipient, state, due_at, made_at)
       values (?, ?, ?, ?, ?, ?, ?, ?, 'due', ?, ?) on conflict do nothing`,
      [tenantId, coreId, uuidv7(), row.notice_id, row.run_id, notice.epoch, channel, storableText(to), due, this.now],
    );
  }

  /** Two mails on one cause are so far apart; one that is on its way counts as sent now. */
  private async quietUntil(cause: string, to: string): Promise<number> {
    const key = `${to}\n${cause}`;
    let last = this.lastSent.get(key);
    if (last === undefined) {
      const [row] = await select<{ at: Date | null }>(
        this.trx,
        `select max(coalesce(n.ended_at, ?::timestamptz)) as at from muster.notifications n
         join muster.notices o on o.tenant_id = n.tenant_id and o.core_id = n.core_id and o.notice_id = n.notice_id
         where n.tenant_id = ? and n.core_id = ? and n.channel = 'mail' and n.recipient = ? and o.cause = ?
         and (n.state = 'sent' and n.ended_at > ? and n.ended_at <= ?
              or n.state = 'due' and n.parcel_id is not null and n.attempts = 0)`,
        [
          this.now,
          this.scope.tenantId,
          this.scope.coreId,
          storableText(to),
          cause,
          new Date(this.now.getTime() - this.rules.quietMs),
          this.now,
        ],
      );
      last = row?.at?.getTime() ?? null;
      this.lastSent.set(key, last);
    }
    return last === null ? 0 : last + this.rules.quietMs;
  }
}

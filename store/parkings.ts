/** What waits for people, of all runs: a row from the event that opens it to the one that ends it, written with the journal. */
import type { Knex } from 'knex';
import { z } from 'zod';
import type { RunEvent } from '../model/events';
import type { AccessScope } from '../model/people';
import type { RunProjection } from '../model/run-projection';
import { epochOf, factsOf, nextItem, urgencyOf, type WaitingItem } from '../model/stuck';
import { storableText } from '../record/canonical';
import type { ChainId } from '../record/row';
import type { Page, Parkings, Told, WaitingRow } from './contract';
import { cursorOf, integerPart, positionOf, textPart } from './cursor';
import { select, type Database, type Scope } from './database';

const maxLimit = 500;
const sortKey = z.tuple([integerPart, integerPart, textPart, textPart, integerPart]);

export function createParkings(database: Database, scope: Scope): Parkings {
  return {
    list: (filter) => database.query('what waits for people could not be listed', (db) => list(db, scope, filter)),
  };
}

type Filter = Parameters<Parkings['list']>[0];

async function list(db: Knex, scope: Scope, filter: Filter): Promise<Page<WaitingRow> & { total: number }> {
  const limit = Math.min(Math.max(Math.trunc(filter.limit), 1), maxLimit);
  const { conditions, bindings } = narrowed(scope, filter);
  const where = conditions.join(' and ');
  const [counted] = await select<{ total: number }>(
    db,
    `select count(*)::int as total from muster.parkings where ${where}`,
    bindings,
  );
  const after = filter.after === undefined ? [] : positionOf(filter.after, sortKey);
  const rows = await select<{ waiting: string }>(
    db,
    `select waiting from muster.parkings where ${where}
     ${after.length === 0 ? '' : 'and (urgency, tier, since, run_id, epoch) > (?, ?, ?, ?, ?)'}
     order by urgency, tier, since, run_id, epoch limit ?`,
    [...bindings, ...after, limit + 1],
  );
  const found = rows.slice(0, limit).map(({ waiting }) => JSON.parse(waiting) as WaitingItem);
  const told = await toldOf(db, scope, found);
  const items = found.map((item) => ({ ...item, told: told.get(keyOf(item)) ?? [] }));
  const last = items.at(-1);
  const total = counted!.total;
  return rows.length > limit && last !== undefined ? { items, total, next: cursorAt(last) } : { items, total };
}

function narrowed(scope: Scope, filter: Filter): { conditions: string[]; bindings: (string | string[])[] } {
  const conditions = ['tenant_id = ?', 'core_id = ?'];
  const bindings: (string | string[])[] = [scope.tenantId, scope.coreId];
  const narrow = (condition: string, ...values: (string | string[])[]): void => {
    conditions.push(condition);
    bindings.push(...values);
  };
  if (filter.site !== undefined) narrow('? = any(sites)', storableText(filter.site));
  if (filter.runbook !== undefined) narrow('? = any(runbooks)', storableText(filter.runbook));
  if (filter.mode !== undefined) narrow('mode = ?', filter.mode);
  if (filter.claimedBy !== undefined) narrow('claimed_by = ?', filter.claimedBy);
  if (filter.unclaimed === true) narrow('claimed_by is null');
  const held = within(filter.scopes);
  if (held !== null) narrow(held.condition, ...held.bindings);
  return { conditions, bindings };
}

/** The same rule as model/access.ts' holdsAt, on columns `sites` and `runbooks`; null: everywhere. */
export function within(scopes: readonly AccessScope[] | undefined): { condition: string; bindings: string[][] } | null {
  if (scopes === undefined || scopes.length === 0) return null;
  const names = (kind: AccessScope['kind']): string[] =>
    scopes.filter((one) => one.kind === kind).map(({ name }) => storableText(name));
  return {
    condition: '(runbooks && ?::text[] or (cardinality(sites) > 0 and sites <@ ?::text[]))',
    bindings: [names('runbook'), names('site')],
  };
}

const keyOf = ({ runId, epoch }: Pick<WaitingItem, 'runId' | 'epoch'>): string => `${runId} ${epoch}`;

/** That the run has started, or what else is of it as a whole, says nothing of an abort that waits for a second person. */
async function toldOf(db: Knex, scope: Scope, items: readonly WaitingItem[]): Promise<Map<string, Told[]>> {
  const all = new Map<string, Told[]>();
  if (items.length === 0) return all;
  const rows = await select<{ run_id: string; epoch: number; recipient: string; at: Date }>(
    db,
    `select n.run_id, n.epoch, n.recipient, min(n.ended_at) as at from muster.notifications n
     join muster.notices o on o.tenant_id = n.tenant_id and o.core_id = n.core_id and o.notice_id = n.notice_id
     where n.tenant_id = ? and n.core_id = ? and n.state = 'sent' and n.run_id = any(?) and o.occasion in ('stuck', 'gate')
     group by n.run_id, n.epoch, n.recipient order by at, n.recipient`,
    [scope.tenantId, scope.coreId, [...new Set(items.map(({ runId }) => runId))]],
  );
  for (const { run_id: runId, epoch, recipient: to, at } of rows) {
    const key = keyOf({ runId, epoch });
    all.set(key, [...(all.get(key) ?? []), { to, at: at.toISOString() }]);
  }
  return all;
}

function cursorAt(item: WaitingItem): string {
  const { tier, since, runId, epoch } = item;
  return cursorOf([urgencyOf(item), tier, since, runId, epoch]);
}

const endings: readonly RunEvent['kind'][] = ['rewound', 'undo-started', 'run-closed'];

/** Brings the rows of a run up to a batch, in its transaction; `run` as it is after the batch. */
export async function projectParkingsInto(
  trx: Knex,
  chain: ChainId,
  parentRunId: string | null,
  run: RunProjection | undefined,
  events: readonly RunEvent[],
): Promise<void> {
  const concerned = events.filter((event) => epochOf(event) !== null || endings.includes(event.kind));
  if (run === undefined || concerned.length === 0) return;
  const items = await openItems(trx, chain);
  const known = new Set(items.keys());
  const changed = new Set<number>();
  const facts = factsOf(run, parentRunId);
  for (const event of concerned) {
    const epoch = epochOf(event);
    if (epoch === null) continue;
    const before = items.get(epoch);
    const after = nextItem(facts, before, event);
    if (after === undefined) items.delete(epoch);
    else if (after !== before) {
      items.set(epoch, after);
      changed.add(epoch);
    }
  }
  const open = new Set(run.open.map((one) => one.epoch));
  if (!run.undoing && run.closedAt === null && !aborted(concerned)) open.add(0);
  await removeRows(
    trx,
    chain,
    [...known].filter((epoch) => !items.has(epoch) || !open.has(epoch)),
  );
  const rows = [...changed].flatMap((epoch) => (open.has(epoch) && items.has(epoch) ? [items.get(epoch)!] : []));
  if (rows.length > 0) await writeRows(trx, chain, rows);
}

const aborted = (events: readonly RunEvent[]): boolean =>
  events.some(
    (event) => event.kind === 'decided' && (event.data.decision === 'abort' || event.data.decision === 'roll-back'),
  );

async function openItems(trx: Knex, { tenantId, coreId, runId }: ChainId): Promise<Map<number, WaitingItem>> {
  const rows = await select<{ epoch: number; waiting: string }>(
    trx,
    'select epoch, waiting from muster.parkings where tenant_id = ? and core_id = ? and run_id = ?',
    [tenantId, coreId, runId],
  );
  return new Map(rows.map(({ epoch, waiting }) => [epoch, JSON.parse(waiting) as WaitingItem]));
}

async function removeRows(trx: Knex, { tenantId, coreId, runId }: ChainId, epochs: readonly number[]): Promise<void> {
  if (epochs.length === 0) return;
  await select(
    trx,
    'delete from muster.parkings where tenant_id = ? and core_id = ? and run_id = ? and epoch = any(?)',
    [tenantId, coreId, runId, [...epochs]],
  );
}

async function writeRows(trx: Knex, chain: ChainId, items: readonly WaitingItem[]): Promise<void> {
  const text = (values: readonly string[]): string[] => values.map(storableText);
  await trx('parkings')
    .withSchema('muster')
    .insert(
      items.map((item) => ({
        tenant_id: chain.tenantId,
        core_id: chain.coreId,
        run_id: chain.runId,
        epoch: item.epoch,
        urgency: urgencyOf(item),
        tier: item.tier,
        since: item.since,
        mode: item.mode,
        sites: text(item.sites),
        runbooks: text(item.runbooks),
        claimed_by: item.claimedBy?.id ?? null,
        // JSON escapes NUL and half characters, which no column of text takes.
        waiting: JSON.stringify(item),
      })),
    )
    .onConflict(['tenant_id', 'core_id', 'run_id', 'epoch'])
    .merge();
}

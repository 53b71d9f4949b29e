/** Journal and ledger rows between their types and their tables. */
import type { Knex } from 'knex';
import type { RunEvent } from '../model/events';
import type { LedgerRow } from '../record/ledger';
import { eventOfRow, type ChainId, type JournalRow } from '../record/row';
import { select, type Scope } from './database';

interface StoredRow {
  tenant_id: string;
  core_id: string;
  run_id: string;
  sequence: number;
  format: 1;
  parent_run_id: string | null;
  kind: string;
  at: string;
  actor_kind: string;
  actor_id: string;
  actor_name: string;
  actor_role: string | null;
  auth_method: string;
  request_id: string;
  address: string;
  step: string | null;
  item: string | null;
  attempt: number | null;
  body: string;
  previous_hash: string;
  hash: string;
}

/** 21 columns each; the protocol takes 65,535 values a statement. */
const rowsPerInsert = 500;
/** The most that one call of `Journal.rows` returns. */
const maxRows = 10_000;

export async function insertJournalRows(trx: Knex, rows: readonly JournalRow[]): Promise<void> {
  for (let from = 0; from < rows.length; from += rowsPerInsert) {
    await trx('journal')
      .withSchema('muster')
      .insert(rows.slice(from, from + rowsPerInsert).map(toStored));
  }
}

export async function readJournalRows(db: Knex, chain: ChainId, after: number, limit: number): Promise<JournalRow[]> {
  const rows = await select<StoredRow>(
    db,
    `select * from muster.journal where tenant_id = ? and core_id = ? and run_id = ? and sequence > ?
     order by sequence limit ?`,
    [chain.tenantId, chain.coreId, chain.runId, after, Math.min(Math.max(limit, 0), maxRows)],
  );
  return rows.map(fromStored);
}

/** A run's first event, which says what it is, and the plan that it belongs to; undefined: it has not come in yet. */
export async function readOpening(
  db: Knex,
  chain: ChainId,
): Promise<{ readonly event: RunEvent; readonly parentRunId: string | null } | undefined> {
  const [first] = await readJournalRows(db, chain, 0, 1);
  return first && { event: eventOfRow(first), parentRunId: first.parentRunId };
}

export async function insertLedgerRow(trx: Knex, row: LedgerRow): Promise<void> {
  await trx('ledger').withSchema('muster').insert({
    tenant_id: row.tenantId,
    core_id: row.coreId,
    sequence: row.sequence,
    format: row.format,
    run_id: row.runId,
    run_sequence: row.runSequence,
    run_hash: row.runHash,
    state: row.state,
    closed_at: row.closedAt,
    previous_hash: row.previousHash,
    hash: row.hash,
  });
}

export async function readLedgerRows(db: Knex, scope: Scope, after: number, limit: number): Promise<LedgerRow[]> {
  return select<LedgerRow>(
    db,
    `select format, tenant_id as "tenantId", core_id as "coreId", sequence, run_id as "runId",
            run_sequence as "runSequence", run_hash as "runHash", state, closed_at as "closedAt",
            previous_hash as "previousHash", hash
     from muster.ledger where tenant_id = ? and core_id = ? and sequence > ? order by sequence limit ?`,
    [scope.tenantId, scope.coreId, after, Math.min(Math.max(limit, 0), maxRows)],
  );
}

function toStored(row: JournalRow): StoredRow {
  return {
    tenant_id: row.tenantId,
    core_id: row.coreId,
    run_id: row.runId,
    sequence: row.sequence,
    format: row.format,
    parent_run_id: row.parentRunId,
    kind: row.kind,
    at: row.at,
    actor_kind: row.actorKind,
    actor_id: row.actorId,
    actor_name: row.actorName,
    actor_role: row.actorRole,
    auth_method: row.authMethod,
    request_id: row.requestId,
    address: row.address,
    step: row.step,
    item: row.item,
    attempt: row.attempt,
    body: row.body,
    previous_hash: row.previousHash,
    hash: row.hash,
  };
}

function fromStored(row: StoredRow): JournalRow {
  return {
    format: row.format,
    tenantId: row.tenant_id,
    coreId: row.core_id,
    runId: row.run_id,
    sequence: row.sequence,
    parentRunId: row.parent_run_id,
    kind: row.kind as JournalRow['kind'],
    at: row.at,
    actorKind: row.actor_kind,
    actorId: row.actor_id,
    actorName: row.actor_name,
    actorRole: row.actor_role,
    authMethod: row.auth_method,
    requestId: row.request_id,
    address: row.address,
    step: row.step,
    item: row.item,
    attempt: row.attempt,
    body: row.body,
    previousHash: row.previous_hash,
    hash: row.hash,
  };
}

/** The journal: appending, in one transaction with everything that is computed from it, and reading. */
import type { Knex } from 'knex';
import type { RunEvent } from '../model/events';
import { PermanentError } from '../model/errors';
import { canonicalJson, sha256Hex, storableText } from '../record/canonical';
import { ledgerRow } from '../record/ledger';
import { chainRows, type ChainHead, type ChainId, type JournalRow } from '../record/row';
import type { Batch, Closing, Journal } from './contract';
import { select, type Database, type Scope } from './database';
import { insertJournalRows, insertLedgerRow, readJournalRows } from './journal-rows';
import { projectRehearsalInto } from './rehearsal-rows';
import { putNotices } from './notices';
import { keepTimes } from './run-times';
import { projectParkingsInto } from './parkings';
import { openRun, projectInto } from './runs';

/** The chain of what was refused at the door, and of acts outside any run; `Journal.rows` reads it under this name. */
export const installationChain = 'installation';
const ledgerChain = 'ledger';
const reserved: readonly string[] = [installationChain, ledgerChain];

export function createJournal(database: Database, scope: Scope): Journal {
  return {
    append: (batch) =>
      database.transaction(`the journal of run ${batch.runId} could not be written`, (trx) => append(trx, batch)),
    close: (runId, closing) =>
      database.transaction(`the journal of run ${runId} could not be closed`, (trx) =>
        close(trx, { ...scope, runId: storableText(runId) }, closing),
      ),
    rows: (runId, after = 0, limit = 1000) =>
      database.query(`the journal of run ${runId} could not be read`, (db) =>
        readJournalRows(db, { ...scope, runId }, after, limit),
      ),
    refuse: (event) => noteIn(database, scope, 'a refusal could not be recorded', event),
    note: (event) => noteIn(database, scope, 'an act could not be recorded', event),
  };
}

function noteIn(database: Database, scope: Scope, failure: string, event: RunEvent): Promise<void> {
  return database.transaction(failure, (trx) => extendInstallation(trx, scope, event));
}

/** One row into the installation's own chain, in the caller's transaction. */
export async function extendInstallation(trx: Knex, scope: Scope, event: RunEvent): Promise<void> {
  await extend(trx, { ...scope, runId: installationChain }, null, [event]);
}

async function append(trx: Knex, batch: Batch): Promise<{ lastSequence: number; lastHash: string }> {
  const chain = chainOf(batch);
  const head = await lockChain(trx, chain);
  const contentSha256 = sha256Hex(canonicalJson(batch.events));
  const stored = await storedFlush(trx, chain, batch.flush, contentSha256);
  if (stored !== undefined) return stored;
  const last = await extendFrom(trx, chain, head, batch.parentRunId, batch.events);
  await select(
    trx,
    `insert into muster.journal_flushes (tenant_id, core_id, run_id, flush, content_sha256, last_sequence, last_hash)
     values (?, ?, ?, ?, ?, ?, ?)`,
    [chain.tenantId, chain.coreId, chain.runId, batch.flush, contentSha256, last.sequence, last.hash],
  );
  await project(trx, chain, batch.parentRunId, batch.events);
  return { lastSequence: last.sequence, lastHash: last.hash };
}

/** Everything that is computed from the events. */
async function project(
  trx: Knex,
  chain: ChainId,
  parentRunId: string | null,
  events: readonly RunEvent[],
): Promise<void> {
  const run = await projectInto(trx, chain, parentRunId, events);
  await keepTimes(trx, chain, events);
  await projectParkingsInto(trx, chain, parentRunId, run, events);
  await putNotices(trx, chain, parentRunId, events);
  await projectRehearsalInto(trx, chain, parentRunId, events);
}

async function close(trx: Knex, chain: ChainId, { by, at, summary }: Closing): Promise<boolean> {
  const head = await lockChain(trx, chain);
  const run = await openRun(trx, chain);
  if (run === undefined) return false;
  const [last] = await readJournalRows(trx, chain, head.sequence - 1, 1);
  const event: RunEvent = {
    kind: 'run-closed',
    // As in a workflow: never before the event before it, however clocks differ.
    at: last !== undefined && last.at > at ? last.at : at,
    ...{ by, step: null, item: null, attempt: null },
    data: { state: 'failed', summary, childHashes: await childHashes(trx, chain), lost: true },
  };
  await extendFrom(trx, chain, head, run.parentRunId, [event]);
  await project(trx, chain, run.parentRunId, [event]);
  return true;
}

async function childHashes(trx: Knex, { tenantId, coreId, runId }: ChainId): Promise<Record<string, string>> {
  const rows = await select<{ runId: string; hash: string }>(
    trx,
    `select run_id as "runId", last_hash as hash from muster.runs join muster.chains using (tenant_id, core_id, run_id)
     where tenant_id = ? and core_id = ? and parent_run_id = ? order by run_id`,
    [tenantId, coreId, runId],
  );
  return Object.fromEntries(rows.map(({ runId: child, hash }) => [child, hash]));
}

function chainOf(batch: Batch): ChainId {
  const { runId } = batch;
  if (reserved.includes(runId)) {
    throw new PermanentError({ what: 'a run has a reserved id', found: runId, needed: 'a UUIDv7' });
  }
  return { tenantId: storableText(batch.tenantId), coreId: storableText(batch.coreId), runId: storableText(runId) };
}

/** What this flush was answered before. The same flush with other events would lose events in silence: refused loudly. */
async function storedFlush(trx: Knex, chain: ChainId, flush: number, contentSha256: string) {
  const [row] = await select<{ content_sha256: string; last_sequence: number; last_hash: string }>(
    trx,
    `select content_sha256, last_sequence, last_hash from muster.journal_flushes
     where tenant_id = ? and core_id = ? and run_id = ? and flush = ?`,
    [chain.tenantId, chain.coreId, chain.runId, flush],
  );
  if (row === undefined) return undefined;
  if (row.content_sha256 !== contentSha256) {
    throw new PermanentError({
      what: `flush ${flush} of run ${chain.runId} came again with other events`,
      found: `SHA-256 ${contentSha256}`,
      needed: row.content_sha256,
      remedy: 'Two workflows write under one run id, or one was reset from outside Muster: end the wrong one.',
    });
  }
  return { lastSequence: row.last_sequence, lastHash: row.last_hash };
}

async function extend(trx: Knex, chain: ChainId, parentRunId: string | null, events: readonly RunEvent[]) {
  return extendFrom(trx, chain, await lockChain(trx, chain), parentRunId, events);
}

async function extendFrom(
  trx: Knex,
  chain: ChainId,
  head: ChainHead,
  parentRunId: string | null,
  events: readonly RunEvent[],
): Promise<ChainHead> {
  const rows = chainRows(chain, parentRunId, head, events);
  const last = rows.at(-1);
  if (last === undefined) return head;
  await insertJournalRows(trx, rows);
  await moveHead(trx, chain, last);
  for (const [index, event] of events.entries()) {
    if (event.kind === 'run-closed') await enterLedger(trx, chain, rows[index]!, event.data.state);
  }
  return last;
}

async function enterLedger(trx: Knex, chain: ChainId, closing: JournalRow, state: string): Promise<void> {
  // Always after the run's own chain: every transaction locks in the same order.
  const ledger = { ...chain, runId: ledgerChain };
  const head = await lockChain(trx, ledger);
  const row = ledgerRow(head, chain, { head: closing, state, closedAt: closing.at });
  await insertLedgerRow(trx, row);
  await moveHead(trx, ledger, row);
}

/** Takes the chain's lock, making the chain where it is new, and returns its end. */
async function lockChain(trx: Knex, chain: ChainId): Promise<ChainHead> {
  const id = [chain.tenantId, chain.coreId, chain.runId];
  await select(
    trx,
    'insert into muster.chains (tenant_id, core_id, run_id) values (?, ?, ?) on conflict do nothing',
    id,
  );
  const [row] = await select<{ last_sequence: number; last_hash: string }>(
    trx,
    `select last_sequence, last_hash from muster.chains
     where tenant_id = ? and core_id = ? and run_id = ? for update`,
    id,
  );
  return { sequence: row!.last_sequence, hash: row!.last_hash };
}

async function moveHead(trx: Knex, chain: ChainId, head: ChainHead): Promise<void> {
  await select(
    trx,
    `update muster.chains set last_sequence = ?, last_hash = ?
     where tenant_id = ? and core_id = ? and run_id = ?`,
    [head.sequence, head.hash, chain.tenantId, chain.coreId, chain.runId],
  );
}

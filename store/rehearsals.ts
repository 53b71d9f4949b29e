/** What rehearsals of runbooks have shown: written with the journal's batches, read to tell which runbooks are verified. */
import type { Knex } from 'knex';
import type { RunEvent } from '../model/events';
import { projectRehearsal, telling, type RehearsedRun } from '../model/readiness/rehearsed';
import { storableText } from '../record/canonical';
import type { ChainId } from '../record/row';
import type { Rehearsals } from './contract';
import { select, type Database, type Scope } from './database';

/** Newer ones than these decide; older ones are in the journal. */
const mostRead = 20;

export function createRehearsals(database: Database, scope: Scope): Rehearsals {
  return {
    closed: (runbook, sha256) =>
      database.query(`the rehearsals of runbook ${runbook} could not be read`, async (db) => {
        const runs = await newest(db, scope, runbook, sha256);
        return Promise.all(runs.map(async (run) => ({ run, servers: await serversOf(db, scope, run.runId) })));
      }),
  };
}

/** The newest of any text, and the newest of this one: a text that came back is as verified as it was. */
async function newest(db: Knex, scope: Scope, runbook: string, sha256: string): Promise<RehearsedRun[]> {
  const one = `(select facts, closed_at from muster.rehearsals where tenant_id = ? and core_id = ? and runbook = ?
    and closed_at is not null`;
  const order = `order by closed_at desc limit ${mostRead})`;
  const at = [scope.tenantId, scope.coreId, storableText(runbook)];
  const rows = await select<{ facts: string }>(
    db,
    `select distinct facts, closed_at from (${one} ${order} union all ${one} and sha256 = ? ${order}) as both_kinds
     order by closed_at desc`,
    [...at, ...at, storableText(sha256)],
  );
  return needed(
    rows.map(({ facts }) => JSON.parse(facts) as RehearsedRun),
    sha256,
  );
}

/** Servers are read only of what can decide: of this text, and the newest that succeeded of another. */
function needed(runs: RehearsedRun[], sha256: string): RehearsedRun[] {
  const other = runs.find(({ state, runbook }) => state === 'succeeded' && runbook?.sha256 !== sha256);
  return runs.filter((run, index) => run.runbook?.sha256 === sha256 || run === other || index === 0);
}

/** A server that was tried again in the same rehearsal counts with its last run. */
async function serversOf(db: Knex, scope: Scope, runId: string): Promise<RehearsedRun[]> {
  const rows = await select<{ facts: string }>(
    db,
    `select distinct on (server_id) facts from muster.rehearsals
     where tenant_id = ? and core_id = ? and parent_run_id = ? and server_id is not null
     order by server_id, opened_at desc, run_id desc`,
    [scope.tenantId, scope.coreId, runId],
  );
  return rows.map(({ facts }) => JSON.parse(facts) as RehearsedRun);
}

/** Brings the rehearsal's row up to a batch; called under the chain's lock, in its transaction. Nothing for other runs. */
export async function projectRehearsalInto(
  trx: Knex,
  chain: ChainId,
  parentRunId: string | null,
  events: readonly RunEvent[],
): Promise<void> {
  if (!events.some(({ kind }) => telling.includes(kind))) return;
  const id = [chain.tenantId, chain.coreId, chain.runId];
  const [stored] = await select<{ facts: string }>(
    trx,
    'select facts from muster.rehearsals where tenant_id = ? and core_id = ? and run_id = ?',
    id,
  );
  const before = stored === undefined ? undefined : (JSON.parse(stored.facts) as RehearsedRun);
  const after = projectRehearsal(before, events);
  if (after === undefined || after === before) return;
  await trx('rehearsals')
    .withSchema('muster')
    .insert({
      tenant_id: chain.tenantId,
      core_id: chain.coreId,
      run_id: chain.runId,
      parent_run_id: parentRunId === null ? null : storableText(parentRunId),
      runbook: after.runbook === null ? null : storableText(after.runbook.name),
      sha256: after.runbook?.sha256 ?? null,
      server_id: after.server === null ? null : storableText(after.server.serverId),
      state: after.state,
      opened_at: storableText(after.openedAt),
      closed_at: after.closedAt === null ? null : storableText(after.closedAt),
      facts: JSON.stringify(after),
    })
    .onConflict(['tenant_id', 'core_id', 'run_id'])
    .merge();
}

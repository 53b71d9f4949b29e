/** What rehearsals of runbooks have shown, read to tell which runbooks are verified; and those that did not start. */
import type { Knex } from 'knex';
import { serversOfHeader } from '../model/plan';
import type { RehearsedRun } from '../model/readiness/rehearsed';
import { storableText } from '../record/canonical';
import type { Rehearsals, RunRow } from './contract';
import { lockName, select, type Database, type Scope } from './database';
import { extendInstallation } from './journal';
import { readOpening } from './journal-rows';
import { putNotice } from './notices';

/** Newer ones than these decide; older ones are in the journal. */
const mostRead = 20;

export function createRehearsals(database: Database, scope: Scope): Rehearsals {
  return {
    holders: (serverIds) =>
      database.query('which runs hold the servers could not be read', (db) => holders(db, scope, serverIds)),
    skip: (skipped) =>
      database.transaction(`that the rehearsal of ${skipped.runbook} was skipped could not be recorded`, (trx) =>
        skip(trx, scope, skipped),
      ),
    closed: (runbook, sha256) =>
      database.query(`the rehearsals of runbook ${runbook} could not be read`, async (db) => {
        const runs = await newest(db, scope, runbook, sha256);
        const servers = await serversOf(
          db,
          scope,
          runs.map(({ runId }) => runId),
        );
        return runs.map((run) => ({ run, servers: servers.get(run.runId) ?? [] }));
      }),
  };
}

type Holder = Pick<RunRow, 'runId' | 'mode' | 'serverName'>;

async function holders(db: Knex, scope: Scope, serverIds: readonly string[]): Promise<Holder[]> {
  if (serverIds.length === 0) return [];
  const own = await select<Holder & { serverId: string }>(
    db,
    `select run_id as "runId", mode, server_name as "serverName", server_id as "serverId" from muster.runs
     where tenant_id = ? and core_id = ? and closed_at is null and server_id = any(?) order by started_at, run_id`,
    [scope.tenantId, scope.coreId, serverIds.map(storableText)],
  );
  const held = new Set(own.map(({ serverId }) => serverId));
  const wanted = new Set(serverIds.filter((id) => !held.has(storableText(id))));
  const plans = wanted.size === 0 ? [] : await holdingPlans(db, scope, wanted);
  return [...own.map(({ runId, mode, serverName }) => ({ runId, mode, serverName })), ...plans];
}

/** A server's own run has a row only once it has begun: until then its plan has it, and after its end until the plan has ended. */
async function holdingPlans(db: Knex, scope: Scope, wanted: Set<string>): Promise<Holder[]> {
  const plans = await select<Pick<RunRow, 'runId' | 'mode'>>(
    db,
    `select run_id as "runId", mode from muster.runs
     where tenant_id = ? and core_id = ? and closed_at is null and procedure = 'plan' order by started_at, run_id`,
    [scope.tenantId, scope.coreId],
  );
  const found: Holder[] = [];
  for (const { runId, mode } of plans) {
    if (wanted.size === 0) break;
    const opening = await readOpening(db, { ...scope, runId });
    if (opening?.event.kind !== 'plan-opened') continue;
    for (const { serverId, name } of serversOfHeader(opening.event.data.order)) {
      if (wanted.delete(serverId)) found.push({ runId, mode, serverName: name });
    }
  }
  return found;
}

async function skip(trx: Knex, scope: Scope, skipped: Parameters<Rehearsals['skip']>[0]): Promise<void> {
  const { runbook, at, because, by, rules, askedBy } = skipped;
  const key = storableText(`rehearsal/${runbook}/${at}`);
  await lockName(trx, `${scope.tenantId}/${scope.coreId} ${key}`);
  const known = 'select 1 from muster.notices where tenant_id = ? and core_id = ? and key = ?';
  if ((await select(trx, known, [scope.tenantId, scope.coreId, key])).length > 0) return;
  const which =
    askedBy === null
      ? `The scheduled rehearsal of runbook ${runbook} at ${at}`
      : `The rehearsal of runbook ${runbook} that ${askedBy} asked for at ${at}`;
  const message = `${which} was skipped: ${because}`;
  const event = { kind: 'noted', at, by, step: null, item: null, attempt: null, data: { message } } as const;
  await extendInstallation(trx, scope, event);
  await putNotice(
    trx,
    scope,
    {
      ...{ key, epoch: 0, occasion: 'rehearsal-due', stage: 0 },
      facts: {
        ...{ run: null, step: null, item: null, allowed: [], state: null, over: false },
        ...{ name: runbook, since: at, cause: message },
        remedy: `Mend what it names; \`muster schedule run-now ${runbook} --reason …\` starts it.`,
      },
    },
    rules,
  );
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

/** By rehearsal. A server that was tried again in the same rehearsal counts with its last run. */
async function serversOf(db: Knex, scope: Scope, runIds: readonly string[]): Promise<Map<string, RehearsedRun[]>> {
  const rows = await select<{ parent_run_id: string; facts: string }>(
    db,
    `select distinct on (parent_run_id, server_id) parent_run_id, facts from muster.rehearsals
     where tenant_id = ? and core_id = ? and parent_run_id = any(?) and server_id is not null
     order by parent_run_id, server_id, opened_at desc, run_id desc`,
    [scope.tenantId, scope.coreId, runIds],
  );
  const servers = new Map<string, RehearsedRun[]>(runIds.map((runId) => [runId, []]));
  for (const { parent_run_id, facts } of rows) servers.get(parent_run_id)!.push(JSON.parse(facts) as RehearsedRun);
  return servers;
}

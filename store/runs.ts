/** One row per run: written with the journal's batches, listed newest first. */
import type { Knex } from 'knex';
import { z } from 'zod';
import { PermanentError } from '../model/errors';
import type { RunEvent } from '../model/events';
import type { ChildRun } from '../model/plan-view/child-run';
import { nextFacts, type RunFacts } from '../model/run-facts';
import { projectRun, type RunProjection } from '../model/run-projection';
import { deepestInclusion } from '../model/runbook/check-order';
import { closedRunStates, runStates } from '../model/steps';
import { storableText } from '../record/canonical';
import type { ChainId } from '../record/row';
import type { OpenRuns, Page, RunCounts, RunRow, Runs } from './contract';
import { cursorOf, positionOf, textPart } from './cursor';
import { clockOf, select, type Database, type Scope } from './database';
import { within } from './parkings';

const maxLimit = 500;
const sortKey = z.tuple([textPart, textPart]);
const openStates = runStates.filter((state) => !(closedRunStates as readonly string[]).includes(state));
/** Of what is being undone no objective is at risk any more. */
const watchedStates = openStates.filter((state) => state !== 'undoing');
const columns = `run_id as "runId", parent_run_id as "parentRunId", procedure, mode, server_id as "serverId",
  server_name as "serverName", runbook, runbook_version as "runbookVersion", runbook_sha256 as "runbookSha256", state,
  current_step as "currentStep", stuck_since as "stuckSince", requested_by as "requestedBy",
  started_at as "startedAt", closed_at as "closedAt"`;

export function createRuns(database: Database, scope: Scope): Runs {
  return {
    list: (filter) => database.query('the runs could not be listed', (db) => list(db, scope, filter)),
    counts: (runIds) => database.query('the runs of plans could not be counted', (db) => counts(db, scope, runIds)),
    below: (runId) => database.query(`the runs of plan ${runId} could not be listed`, (db) => below(db, scope, runId)),
    facts: (runIds) => database.query('what runs were like could not be read', (db) => factsOfRuns(db, scope, runIds)),
    places: (runId) =>
      database.query(`where run ${runId} is could not be read`, async (db) => {
        const [row] = await select<{ sites: string[] | null; runbooks: string[] | null }>(
          db,
          'select sites, runbooks from muster.runs where tenant_id = ? and core_id = ? and run_id = ?',
          [scope.tenantId, scope.coreId, storableText(runId)],
        );
        return row === undefined || row.sites === null ? undefined : { sites: row.sites, runbooks: row.runbooks ?? [] };
      }),
    watched: () =>
      database.query('the runs that have objectives could not be listed', async (db) => {
        const runs = await select<{ runId: string; parentRunId: string | null }>(
          db,
          `select run_id as "runId", parent_run_id as "parentRunId" from muster.runs where tenant_id = ? and core_id = ?
           and state in (${watchedStates.map(() => '?').join(', ')}) and (procedure = 'plan' or parent_run_id is null)
           order by started_at, run_id`,
          [scope.tenantId, scope.coreId, ...watchedStates],
        );
        return { at: (await clockOf(db)).toISOString(), runs };
      }),
    open: () => database.query('the open runs could not be counted', (db) => open(db, scope)),
    get: (runId) =>
      database.query(`run ${runId} could not be read`, async (db) => {
        const [row] = await select<RunRow>(
          db,
          `select ${columns} from muster.runs where tenant_id = ? and core_id = ? and run_id = ?`,
          [scope.tenantId, scope.coreId, storableText(runId)],
        );
        return row;
      }),
  };
}

function open(db: Knex, scope: Scope): Promise<OpenRuns[]> {
  return select<OpenRuns>(
    db,
    `select procedure, state, current_step as "currentStep", count(*)::int as count, min(stuck_since) as "stuckSince"
     from muster.runs where tenant_id = ? and core_id = ? and state in (${openStates.map(() => '?').join(', ')})
     group by procedure, state, current_step order by procedure, state, current_step`,
    [scope.tenantId, scope.coreId, ...openStates],
  );
}

/** Keyset paging: a page starts after a run, not after a number of runs, so runs that start meanwhile shift nothing. */
async function list(db: Knex, scope: Scope, filter: Parameters<Runs['list']>[0]): Promise<Page<RunRow>> {
  const limit = Math.min(Math.max(Math.trunc(filter.limit), 1), maxLimit);
  const conditions = ['tenant_id = ?', 'core_id = ?'];
  const bindings: (string | string[])[] = [scope.tenantId, scope.coreId];
  const narrow = (condition: string, ...values: (string | string[])[]): void => {
    conditions.push(condition);
    bindings.push(...values);
  };
  if (filter.state !== undefined) narrow('state = ?', filter.state);
  if (filter.serverId !== undefined) narrow('server_id = ?', storableText(filter.serverId));
  if (filter.runbook !== undefined) narrow('runbook = ?', storableText(filter.runbook));
  if (filter.parentRunId !== undefined) narrow('parent_run_id = ?', storableText(filter.parentRunId));
  if (filter.topLevel === true) narrow('parent_run_id is null');
  const held = within(filter.scopes);
  if (held !== null) narrow(held.condition, ...held.bindings);
  if (filter.after !== undefined) narrow('(started_at, run_id) < (?, ?)', ...positionOf(filter.after, sortKey));
  const rows = await select<RunRow>(
    db,
    `select ${columns} from muster.runs where ${conditions.join(' and ')}
     order by started_at desc, run_id desc limit ?`,
    [...bindings, limit + 1],
  );
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return rows.length > limit && last !== undefined
    ? { items, next: cursorOf([last.startedAt, last.runId]) }
    : { items };
}

async function counts(db: Knex, scope: Scope, runIds: readonly string[]): Promise<RunCounts[]> {
  if (runIds.length === 0) return [];
  return select<RunCounts>(
    db,
    `select parent_run_id as "parentRunId", state, count(*)::int as count from (
       select distinct on (parent_run_id, server_name) parent_run_id, server_name, state from muster.runs
       where tenant_id = ? and core_id = ? and parent_run_id in (${runIds.map(() => '?').join(', ')})
       order by parent_run_id, server_name, started_at desc) as latest
     group by parent_run_id, state order by parent_run_id, state`,
    [scope.tenantId, scope.coreId, ...runIds.map(storableText)],
  );
}

/** Included runbooks are plans themselves; the servers of the innermost one stand deepest. */
async function below(db: Knex, scope: Scope, runId: string): Promise<ChildRun[]> {
  const rows = await select<Omit<ChildRun, 'facts'> & { facts: string | null }>(
    db,
    `with recursive tree as (
       select runs.*, 1 as depth from muster.runs where tenant_id = ? and core_id = ? and parent_run_id = ?
       union all
       select runs.*, tree.depth + 1 from muster.runs join tree on runs.tenant_id = tree.tenant_id
         and runs.core_id = tree.core_id and runs.parent_run_id collate "C" = tree.run_id
       where tree.procedure = 'plan' and tree.depth < ?)
     select run_id as "runId", parent_run_id as "parentRunId", procedure, server_id as "serverId",
       server_name as "serverName", state, current_step as "currentStep", stuck_since as "stuckSince",
       started_at as "startedAt", closed_at as "closedAt", facts
     from tree order by started_at, run_id`,
    [scope.tenantId, scope.coreId, storableText(runId), deepestInclusion],
  );
  return rows.map(({ facts, ...row }) => ({ ...row, facts: factsOf(facts) }));
}

async function factsOfRuns(db: Knex, scope: Scope, runIds: readonly string[]): ReturnType<Runs['facts']> {
  const rows = await select<{ runId: string; facts: string | null }>(
    db,
    'select run_id as "runId", facts from muster.runs where tenant_id = ? and core_id = ? and run_id = any(?)',
    [scope.tenantId, scope.coreId, runIds.map(storableText)],
  );
  return new Map(rows.map(({ runId, facts }) => [runId, factsOf(facts)]));
}

const factsOf = (text: string | null): RunFacts | null => (text === null ? null : (JSON.parse(text) as RunFacts));

function isOver(runId: string, { state, closedAt }: RunProjection): PermanentError {
  return new PermanentError({
    what: `the record of run ${runId} is closed, and its workflow goes on writing`,
    found: `it was closed as ${state} at ${closedAt}`,
    needed: 'a run that is open',
    remedy: 'Temporal has it again though it was lost: end its workflow there, and look at what it has made.',
  });
}

/** Which plan an open run belongs to; undefined: there is no such run, or it is closed. Called under the chain's lock. */
export async function openRun(trx: Knex, chain: ChainId): Promise<{ parentRunId: string | null } | undefined> {
  const [row] = await select<{ parentRunId: string | null }>(
    trx,
    `select parent_run_id as "parentRunId" from muster.runs
     where tenant_id = ? and core_id = ? and run_id = ? and closed_at is null`,
    [chain.tenantId, chain.coreId, chain.runId],
  );
  return row;
}

/** Brings the run's row up to a batch; called under the chain's lock, in its transaction. Returns the run as it is then. */
export async function projectInto(
  trx: Knex,
  chain: ChainId,
  parentRunId: string | null,
  events: readonly RunEvent[],
): Promise<RunProjection | undefined> {
  const id = [chain.tenantId, chain.coreId, chain.runId];
  const [stored] = await select<{ projection: string; facts: string | null }>(
    trx,
    'select projection, facts from muster.runs where tenant_id = ? and core_id = ? and run_id = ?',
    id,
  );
  const before = stored === undefined ? undefined : (JSON.parse(stored.projection) as RunProjection);
  if (before?.lost === true) throw isOver(chain.runId, before);
  const factsBefore = factsOf(stored?.facts ?? null) ?? undefined;
  const after = projectRun(before, events);
  const facts = events.reduce(nextFacts, factsBefore);
  if (after === undefined || (after === before && facts === factsBefore)) return after;
  const text = (value: string | null): string | null => (value === null ? null : storableText(value));
  await trx('runs')
    .withSchema('muster')
    .insert({
      tenant_id: chain.tenantId,
      core_id: chain.coreId,
      run_id: chain.runId,
      parent_run_id: text(parentRunId),
      procedure: text(after.procedure),
      mode: text(after.mode),
      server_id: text(after.serverId),
      server_name: text(after.serverName),
      state: text(after.state),
      current_step: text(after.currentStep),
      stuck_since: text(after.stuckSince),
      requested_by: text(after.requestedBy),
      started_at: text(after.startedAt),
      closed_at: text(after.closedAt),
      sites: after.sites?.map(storableText) ?? null,
      runbooks: after.runbooks?.map(storableText) ?? null,
      projection: JSON.stringify(after),
      ...runbookOf(events),
      facts: facts === undefined ? null : JSON.stringify(facts),
    })
    .onConflict(['tenant_id', 'core_id', 'run_id'])
    .merge();
  return after;
}

/** Nothing in later batches: what the first one wrote stays. */
function runbookOf(events: readonly RunEvent[]) {
  const opened = events.find((event) => event.kind === 'plan-opened');
  if (opened === undefined) return {};
  const { name, version, sha256 } = opened.data.order.runbook;
  return { runbook: storableText(name), runbook_version: version, runbook_sha256: sha256 };
}

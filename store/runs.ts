/** One row per run: written with the journal's batches, listed newest first. */
import type { Knex } from 'knex';
import type { RunEvent } from '../model/events';
import { OperatorError } from '../model/errors';
import { projectRun, type RunProjection } from '../model/run-projection';
import { closedRunStates, runStates } from '../model/steps';
import { storableText } from '../record/canonical';
import type { ChainId } from '../record/row';
import type { OpenRuns, Page, RunRow, Runs } from './contract';
import { select, type Database, type Scope } from './database';

const maxLimit = 500;
const openStates = runStates.filter((state) => !(closedRunStates as readonly string[]).includes(state));
const columns = `run_id as "runId", procedure, mode, server_id as "serverId", server_name as "serverName", state,
  current_step as "currentStep", stuck_since as "stuckSince", requested_by as "requestedBy",
  started_at as "startedAt", closed_at as "closedAt"`;

export function createRuns(database: Database, scope: Scope): Runs {
  return {
    list: (filter) => database.query('the runs could not be listed', (db) => list(db, scope, filter)),
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
  const bindings = [scope.tenantId, scope.coreId];
  const narrow = (condition: string, ...values: string[]): void => {
    conditions.push(condition);
    bindings.push(...values);
  };
  if (filter.state !== undefined) narrow('state = ?', filter.state);
  if (filter.serverId !== undefined) narrow('server_id = ?', storableText(filter.serverId));
  if (filter.after !== undefined) narrow('(started_at, run_id) < (?, ?)', ...positionOf(filter.after));
  const rows = await select<RunRow>(
    db,
    `select ${columns} from muster.runs where ${conditions.join(' and ')}
     order by started_at desc, run_id desc limit ?`,
    [...bindings, limit + 1],
  );
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return rows.length > limit && last !== undefined ? { items, next: cursorAt(last) } : { items };
}

function cursorAt(row: RunRow): string {
  return Buffer.from(JSON.stringify([row.startedAt, row.runId])).toString('base64url');
}

/** @throws OperatorError for text that no list has given out. */
function positionOf(cursor: string): [string, string] {
  try {
    const position: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    if (Array.isArray(position) && position.length === 2 && position.every((part) => typeof part === 'string')) {
      return [storableText(position[0] as string), storableText(position[1] as string)];
    }
  } catch {
    // Not JSON: the same refusal as any other text.
  }
  throw new OperatorError({
    what: 'the list cannot be continued',
    found: `the position ${JSON.stringify(cursor.slice(0, 80))}`,
    needed: 'the `next` of an earlier page',
    remedy: 'List again from the start.',
  });
}

/** Brings the run's row up to a batch; called under the chain's lock, in its transaction. */
export async function projectInto(
  trx: Knex,
  chain: ChainId,
  parentRunId: string | null,
  events: readonly RunEvent[],
): Promise<void> {
  const id = [chain.tenantId, chain.coreId, chain.runId];
  const [stored] = await select<{ projection: string }>(
    trx,
    'select projection from muster.runs where tenant_id = ? and core_id = ? and run_id = ?',
    id,
  );
  const before = stored === undefined ? undefined : (JSON.parse(stored.projection) as RunProjection);
  const after = projectRun(before, events);
  if (after === undefined || after === before) return;
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
      projection: JSON.stringify(after),
    })
    .onConflict(['tenant_id', 'core_id', 'run_id'])
    .merge();
}

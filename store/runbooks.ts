/** Runbooks by name and version: the newest is what runs. Nothing is changed or removed. */
import type { Knex } from 'knex';
import { sha256Hex } from '../record/canonical';
import type { NewRunbook, Runbooks, RunbookVersion, StoredRunbook } from './contract';
import { lockName, select, type Database, type Scope } from './database';

interface RunbookRow {
  name: string;
  version: number;
  sha256: string;
  text: string;
  title: string;
  tier: number;
  /** JSON: a list of names. */
  includes: string;
  imported_by: string;
  imported_at: Date;
}

export function createRunbooks(database: Database, scope: Scope, clock: () => Date): Runbooks {
  const at = [scope.tenantId, scope.coreId];
  return {
    import: (runbook) =>
      database.transaction(`runbook ${runbook.name} could not be imported`, (trx) => add(trx, at, runbook, clock())),
    latest: () =>
      database.query('the runbooks could not be listed', async (db) => {
        const sql = `select distinct on (name) ${columns} from muster.runbooks
          where tenant_id = ? and core_id = ? order by name, version desc`;
        return (await select<RunbookRow>(db, sql, at)).map(runbookOf);
      }),
    index: () =>
      database.query('the runbooks could not be listed', async (db) => {
        const sql = `select distinct on (name) ${columnsBesideText} from muster.runbooks
          where tenant_id = ? and core_id = ? order by name, version desc`;
        return (await select<Omit<RunbookRow, 'text'>>(db, sql, at)).map(versionOf);
      }),
    find: (name, version) =>
      database.query(`runbook ${name} could not be read`, async (db) => {
        const sql = `select ${columns} from muster.runbooks where tenant_id = ? and core_id = ? and name = ?
          and (?::integer is null or version = ?) order by version desc limit 1`;
        const [row] = await select<RunbookRow>(db, sql, [...at, name, version ?? null, version ?? null]);
        return row && runbookOf(row);
      }),
    versions: (name) =>
      database.query(`the versions of runbook ${name} could not be listed`, async (db) => {
        const sql = `select ${columnsBesideText} from muster.runbooks
          where tenant_id = ? and core_id = ? and name = ? order by version desc`;
        return (await select<Omit<RunbookRow, 'text'>>(db, sql, [...at, name])).map(versionOf);
      }),
  };
}

const columnsBesideText = 'name, version, sha256, title, tier, includes, imported_by, imported_at';
const columns = `${columnsBesideText}, text`;

/** One after the other by name: two imports at once get two versions, or the same when they are the same. */
async function add(trx: Knex, at: readonly string[], runbook: NewRunbook, now: Date): ReturnType<Runbooks['import']> {
  const { name, text, title, tier, includes, importedBy } = runbook;
  const sha256 = sha256Hex(text);
  await lockName(trx, `runbook ${[...at, name].join('/')}`);
  const of = `from muster.runbooks where tenant_id = ? and core_id = ? and name = ?`;
  const newestFirst = `select ${columns} ${of} order by version desc limit 1`;
  const [newest] = await select<RunbookRow>(trx, newestFirst, [...at, name]);
  if (newest?.sha256 === sha256) return { runbook: runbookOf(newest), seenBefore: true, sameAs: null };
  const same = `select max(version) as version ${of} and sha256 = ?`;
  const [before] = await select<{ version: number | null }>(trx, same, [...at, name, sha256]);
  const [row] = await select<RunbookRow>(
    trx,
    `insert into muster.runbooks (tenant_id, core_id, name, version, sha256, text, title, tier, includes, imported_by, imported_at)
     select ?, ?, ?, coalesce(max(version), 0) + 1, ?, ?, ?, ?, ?, ?, ? from muster.runbooks
     where tenant_id = ? and core_id = ? and name = ? returning ${columns}`,
    [...at, name, sha256, text, title, tier, JSON.stringify(includes), importedBy, now, ...at, name],
  );
  return { runbook: runbookOf(row!), seenBefore: false, sameAs: before!.version };
}

const versionOf = ({ imported_by, imported_at, includes, ...row }: Omit<RunbookRow, 'text'>): RunbookVersion => ({
  ...row,
  includes: JSON.parse(includes) as string[],
  importedBy: imported_by,
  importedAt: imported_at.toISOString(),
});

const runbookOf = ({ text, ...row }: RunbookRow): StoredRunbook => ({ ...versionOf(row), text });

import { Client } from 'pg';
import { migrate } from '../../store/migrate';
import { knownVersion, migrations } from '../../store/migrations/all';
import { openStore } from '../../store/open-store';
import { withDb, withEmptyDb } from '../support/postgres';

async function run(url: string, ...statements: string[]): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    let rows: unknown[] = [];
    for (const statement of statements) ({ rows } = await client.query(statement));
    return rows;
  } finally {
    await client.end();
  }
}

test('migrations are numbered from 1 without holes and hold no question mark', () => {
  expect(migrations.map((migration) => migration.version)).toEqual(migrations.map((_, index) => index + 1));
  // knex takes a question mark for a binding.
  for (const migration of migrations) expect(migration.sql).not.toContain('?');
});

test('an empty database is brought to the known version, and a second time nothing is left to do', () =>
  withEmptyDb(async ({ url }) => {
    expect(await migrate(url)).toEqual({ version: knownVersion, applied: migrations.map(({ version }) => version) });
    expect(await migrate(url)).toEqual({ version: knownVersion, applied: [] });
    expect(await run(url, 'select version, name from muster.migrations order by version')).toEqual(
      migrations.map(({ version, name }) => ({ version, name })),
    );
  }));

test('four processes that migrate at once share the work without an error', () =>
  withEmptyDb(async ({ url }) => {
    const results = await Promise.all(Array.from({ length: 4 }, () => migrate(url)));
    const applied = results.flatMap((result) => result.applied).sort((a, b) => a - b);
    expect(applied).toEqual(migrations.map(({ version }) => version));
  }));

test('every table names tenant and core', () =>
  withDb(async ({ url }) => {
    const without = await run(
      url,
      `select table_name from information_schema.tables t
       where table_schema = 'muster' and table_name <> 'migrations' and 2 <> (
         select count(*) from information_schema.columns c
         where c.table_schema = t.table_schema and c.table_name = t.table_name
         and c.column_name in ('tenant_id', 'core_id') and c.is_nullable = 'NO')`,
    );
    expect(without).toEqual([]);
  }));

test('a schema newer than this version is refused by migrations and by the store, with what to do', () =>
  withDb(async ({ url }) => {
    await run(url, `insert into muster.migrations (version, name) values (${knownVersion + 1}, 'from the future')`);
    const refusal = {
      name: 'OperatorError',
      message: expect.stringMatching(/newer than this Muster.*Start the version/),
    };
    await expect(migrate(url)).rejects.toMatchObject(refusal);
    const store = openStore(url);
    await expect(store.ping()).rejects.toMatchObject(refusal);
    await store.close();
  }));

test('a store on a database that nobody migrated says so', () =>
  withEmptyDb(async ({ url }) => {
    const store = openStore(url);
    await expect(store.runs.get('x')).rejects.toMatchObject({
      name: 'OperatorError',
      message: expect.stringContaining('not migrated'),
    });
    await migrate(url);
    expect(await store.runs.get('x')).toBeUndefined();
    await store.close();
  }));

test('a login that may not create roles migrates all the same, and the triggers hold for it', () =>
  withEmptyDb(async ({ url, name }) => {
    const login = `plain_${name}`;
    await run(url, `create role ${login} login`, `alter database ${name} owner to ${login}`);
    const plain = Object.assign(new URL(url), { username: login, password: '' }).toString();
    try {
      expect((await migrate(plain)).version).toBe(knownVersion);
      const store = openStore(plain);
      await store.ping();
      await store.close();
      const remove = run(plain, `set muster.maintenance = 'on'`, insertRow, 'delete from muster.journal');
      await expect(remove).rejects.toMatchObject({ code: '42501' });
    } finally {
      await run(
        url,
        `alter database ${name} owner to current_user`,
        `drop owned by ${login} cascade`,
        `drop role ${login}`,
      );
    }
  }));

const insertRow = `insert into muster.journal
  select 'main', 'main', 'run-1', 1, 1, null, 'noted', '', '', '', '', null, '', '', '', null, null, null, '{}', '', ''`;

test('the application role adds journal rows and may not change, delete or truncate them', () =>
  withDb(async ({ url }) => {
    const asApp = (statement: string) => run(url, 'set role muster_app', statement);
    await asApp(insertRow);
    for (const table of ['journal', 'journal_flushes', 'ledger']) {
      for (const statement of [
        `update muster.${table} set run_id = 'other'`,
        `delete from muster.${table}`,
        `truncate muster.${table}`,
      ]) {
        await expect(asApp(statement)).rejects.toMatchObject({ code: '42501' });
      }
    }
    await expect(asApp('alter table muster.journal disable trigger all')).rejects.toMatchObject({ code: '42501' });
    expect(await run(url, 'select run_id from muster.journal')).toEqual([{ run_id: 'run-1' }]);
  }));

test('even a superuser changes journal rows only after saying that it is maintenance', () =>
  withDb(async ({ url }) => {
    await run(url, insertRow);
    for (const statement of [
      `update muster.journal set body = '{}'`,
      'delete from muster.journal',
      'truncate muster.journal',
    ]) {
      await expect(run(url, statement)).rejects.toThrow('the record is only added to');
    }
    await run(url, `set muster.maintenance = 'on'`, 'delete from muster.journal');
    expect(await run(url, 'select 1 from muster.journal')).toEqual([]);
  }));

test('the store works under the application role', () =>
  withDb(async ({ url }) => {
    // A right that only the role misses shows which role the store works under.
    await run(url, 'revoke select on muster.servers from muster_app');
    const store = openStore(url);
    const failure = await store.servers.list().catch((error: Error) => error);
    expect(failure).toMatchObject({ name: 'OperatorError', message: expect.stringContaining('permission denied') });
    expect(String(failure)).not.toContain('tenant_id');
    await store.close();
  }));

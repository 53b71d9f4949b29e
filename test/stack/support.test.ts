import { Client } from 'pg';
import { temporalForTest } from '../support/temporal';
import { withDb, withEmptyDb } from '../support/postgres';

test('the test server answers and knows the namespace', async () => {
  const temporal = await temporalForTest();
  const { namespaceInfo } = await temporal.connection.workflowService.describeNamespace({
    namespace: temporal.namespace,
  });
  expect(namespaceInfo?.name).toBe('muster-test');
  await temporal.close();
});

test('each database is its own and is gone afterwards', async () => {
  const exists = (url: string, name: string): Promise<number> =>
    query(url, `select count(*)::int as n from pg_database where datname = '${name}'`);
  const names: string[] = [];
  await withEmptyDb(async (first) => {
    await query(first.url, 'create table t (n int)');
    await withEmptyDb(async (second) => {
      names.push(first.name, second.name);
      expect(await query(second.url, "select count(*)::int as n from pg_tables where tablename = 't'")).toBe(0);
      expect(await exists(first.url, second.name)).toBe(1);
    });
  });
  expect(new Set(names).size).toBe(2);
  // By name: other test files have databases of their own on the same server meanwhile.
  await withEmptyDb(async ({ url }) => {
    for (const name of names) expect(await exists(url, name)).toBe(0);
  });
});

test('a database from the template has the tables', async () => {
  await withDb(async (db) => {
    expect(
      await query(db.url, "select count(*)::int as n from pg_tables where schemaname <> 'pg_catalog'"),
    ).toBeGreaterThan(0);
  });
});

test('a connection that is left open fails the test', async () => {
  let leaked: Client | undefined;
  const test = withEmptyDb(async (db) => {
    leaked = new Client({ connectionString: db.url });
    leaked.on('error', () => undefined);
    await leaked.connect();
  });
  await expect(test).rejects.toThrow('left 1 connection(s)');
  await leaked!.end().catch(() => undefined);
});

async function query(url: string, sql: string): Promise<number> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ n: number }>(sql);
    return rows[0]?.n ?? 0;
  } finally {
    await client.end();
  }
}

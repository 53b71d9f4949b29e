/** A database of its own for each test, copied from a template that was migrated once per run of jest. */
import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { migrate } from '../../store/migrate';

export interface TestDatabase {
  readonly name: string;
  /** Connection string of this database, as the role that owns the tables. */
  readonly url: string;
}

const template = 'muster_template';
/** Any number, as long as every jest worker uses the same one. */
const templateLock = 7_081_104;

/** Connection string of the test server's own database `postgres`. */
export function testPostgresUrl(): string {
  const url = process.env['MUSTER_TEST_POSTGRES'];
  if (url === undefined)
    throw new Error('MUSTER_TEST_POSTGRES is not set: jest ran without test/support/global-setup.ts');
  return url;
}

/**
 * Gives `use` a migrated database and drops it afterwards. A connection that is still open then fails the test: it is
 * a leak that would keep a real process from ending.
 */
export async function withDb<T>(use: (db: TestDatabase) => Promise<T>): Promise<T> {
  await makeTemplate();
  return withCopyOf(template, use);
}

/** Like withDb, with nothing in it: for tests of the migrations themselves. */
export async function withEmptyDb<T>(use: (db: TestDatabase) => Promise<T>): Promise<T> {
  return withCopyOf('template0', use);
}

async function withCopyOf<T>(source: string, use: (db: TestDatabase) => Promise<T>): Promise<T> {
  const name = `test_${randomUUID().replaceAll('-', '').slice(0, 20)}`;
  // As files, for nothing here is ever replayed from the log: half of what the default way takes (235 and 135 ms, a busy host).
  await asAdmin((client) => client.query(`create database ${name} template ${source} strategy file_copy`));
  let result: T;
  try {
    result = await use({ name, url: urlOf(name) });
  } catch (error) {
    await drop(name);
    throw error;
  }
  const leaked = await drop(name);
  if (leaked > 0)
    throw new Error(`The test left ${leaked} connection(s) to its database open: close the store or pool.`);
  return result;
}

function urlOf(name: string): string {
  return Object.assign(new URL(testPostgresUrl()), { pathname: `/${name}` }).toString();
}

/** Number of connections that were still open. A closing one may take a moment to vanish from the list. */
async function drop(name: string): Promise<number> {
  return asAdmin(async (client) => {
    const open = async (): Promise<number> => {
      const { rows } = await client.query<{ open: number }>(
        'select count(*)::int as open from pg_stat_activity where datname = $1',
        [name],
      );
      return rows[0]!.open;
    };
    let count = await open();
    for (let tries = 0; count > 0 && tries < 200; tries += 1) {
      await client.query('select pg_sleep(0.05)');
      count = await open();
    }
    await client.query(`drop database ${name} with (force)`);
    return count;
  });
}

let templateMade: Promise<void> | undefined;

/** Jest's workers may come here together: an advisory lock lets one of them migrate. */
function makeTemplate(): Promise<void> {
  templateMade ??= asAdmin(async (client) => {
    await client.query('select pg_advisory_lock($1)', [templateLock]);
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [template]);
    if (rowCount !== 0) return;
    const draft = `${template}_draft`;
    await client.query(`drop database if exists ${draft} with (force)`);
    await client.query(`create database ${draft}`);
    await migrate(urlOf(draft));
    await client.query(`alter database ${draft} rename to ${template}`);
  });
  return templateMade;
}

/** The connection's end also gives up its advisory lock. */
async function asAdmin<T>(use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: testPostgresUrl() });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

/** Brings a database to the schema that this version knows. */
import { knex, type Knex } from 'knex';
import type { Client } from 'pg';
import { checkVersion, connectionConfig, limitSilence, select, whereIs, type DatabaseOptions } from './database';
import { storeFailure } from './failures';
import type { Migration } from './migrations/migration';
import { knownVersion, migrations } from './migrations/all';

/** Any number that no other program uses on this database: 'mstr' in ASCII. */
const advisoryLock = 0x6d737472;

/**
 * Applies what is missing, each migration in a transaction of its own. Safe with several processes at once: they take
 * turns and find the work done.
 *
 * @returns the versions that this call applied
 * @throws OperatorError when the schema is newer than this version knows, or the login may not change it; TransientError
 * when Postgres does not answer
 */
export async function migrate(
  connectionString: string,
  options: DatabaseOptions = {},
): Promise<{ version: number; applied: readonly number[] }> {
  // A migration may take long, and so may waiting for another process that migrates.
  const statementTimeoutMs = options.statementTimeoutMs ?? 600_000;
  const silenceMs = options.silenceTimeoutMs ?? statementTimeoutMs + 10_000;
  const db = knex({
    client: 'pg',
    version: '14',
    compileSqlOnError: false,
    connection: connectionConfig(connectionString, { ...options, statementTimeoutMs }) as Knex.PgConnectionConfig,
    acquireConnectionTimeout: (options.connectTimeoutMs ?? 5_000) * 2,
    pool: {
      min: 0,
      max: 1,
      afterCreate: (client: Client, done: (error: null, client: Client) => void) => {
        limitSilence(client, silenceMs);
        done(null, client);
      },
    },
  });
  try {
    const applied: number[] = [];
    for (;;) {
      const version = await db.transaction((trx) => applyNext(trx));
      if (version === undefined) return { version: knownVersion, applied };
      applied.push(version);
    }
  } catch (error) {
    throw storeFailure('the database could not be migrated', whereIs(connectionString), error);
  } finally {
    await db.destroy();
  }
}

/** Applies the next migration under the lock; undefined when there is none. */
async function applyNext(trx: Knex): Promise<number | undefined> {
  await select(trx, 'select pg_advisory_xact_lock(?)', [advisoryLock]);
  await bootstrap(trx);
  const [row] = await select<{ version: number }>(
    trx,
    'select coalesce(max(version), 0) as version from muster.migrations',
    [],
  );
  const next = nextMigration(row!.version);
  if (next === undefined) return undefined;
  await trx.raw(next.sql);
  await select(trx, 'insert into muster.migrations (version, name) values (?, ?)', [next.version, next.name]);
  return next.version;
}

function nextMigration(version: number): Migration | undefined {
  if (version >= knownVersion) checkVersion(version);
  return migrations.find((migration) => migration.version > version);
}

/** The ledger of migrations; made only where it is missing, so that a login without CREATE can check an up-to-date one. */
async function bootstrap(trx: Knex): Promise<void> {
  const [row] = await select<{ there: boolean }>(
    trx,
    `select to_regclass('muster.migrations') is not null as there`,
    [],
  );
  if (row!.there) return;
  await trx.raw(`
    create schema if not exists muster;
    create table muster.migrations (
      version integer primary key,
      name text not null,
      applied_at timestamptz not null default clock_timestamp()
    );
  `);
}

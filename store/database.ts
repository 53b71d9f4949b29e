/**
 * The connection to Postgres: a pool that is opened lazily, with a limit on every wait, under the application's role.
 *
 * A Postgres that hangs (stopped process, lost route) sends nothing at all, so the server's own time-outs do not fire: a
 * silent socket is destroyed after `silenceTimeoutMs`, which fails the call as transient and empties the pool.
 */
import type { Socket } from 'node:net';
import { knex, type Knex } from 'knex';
import type { Client, ClientConfig } from 'pg';
import { OperatorError } from '../model/errors';
import { codeOf, storeFailure } from './failures';
import { knownVersion } from './migrations/all';

export interface DatabaseOptions {
  /** Longest wait for a new connection. Default 5 s. */
  readonly connectTimeoutMs?: number;
  /** Longest run of one statement, and twice the longest wait for a lock. Default 8 s. */
  readonly statementTimeoutMs?: number;
  /** Longest silence of Postgres. Default 12 s; keep it above `statementTimeoutMs`. */
  readonly silenceTimeoutMs?: number;
  /** Default 10. */
  readonly maxConnections?: number;
}

export interface Database {
  /** Runs statements outside a transaction. @throws the three families, named after `what`. */
  query<T>(what: string, work: (db: Knex) => Promise<T>): Promise<T>;
  /** Runs statements in one transaction; whatever `work` throws rolls it back. */
  transaction<T>(what: string, work: (db: Knex) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** What every table's rows belong to. */
export interface Scope {
  readonly tenantId: string;
  readonly coreId: string;
}

/** Opens no connection yet, so it succeeds while Postgres is down. */
export function openDatabase(connectionString: string, options: DatabaseOptions = {}): Database {
  const where = whereIs(connectionString);
  const db = knex(poolConfig(connectionString, options));
  const guarded = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw storeFailure(what, where, error);
    }
  };
  return {
    query: (what, work) => guarded(what, () => work(db)),
    transaction: (what, work) => guarded(what, () => db.transaction((trx) => work(trx))),
    close: () => db.destroy(),
  };
}

/** Rows of a statement with `?` bindings. */
export async function select<T>(
  db: Knex,
  sql: string,
  bindings: readonly (string | number | Date | null | readonly string[] | readonly number[])[],
): Promise<T[]> {
  const result = await db.raw<{ rows: T[] }>(sql, bindings as Knex.RawBinding[]);
  return result.rows;
}

/** By Postgres' clock, which all processes share: those of their hosts may differ, and be set. */
export async function clockOf(db: Knex): Promise<Date> {
  const [row] = await select<{ now: Date }>(db, 'select clock_timestamp() as now', []);
  return row!.now;
}

/** Who takes the same name waits until this transaction ends. */
export async function lockName(trx: Knex, name: string): Promise<void> {
  await select(trx, 'select pg_advisory_xact_lock(hashtextextended(?, 0))', [name]);
}

/** Host, port and database of a connection string; never its password. */
export function whereIs(connectionString: string): string {
  try {
    const url = new URL(connectionString);
    const host = url.searchParams.get('host') ?? decodeURIComponent(url.hostname);
    return `${host || 'localhost'}:${url.port || '5432'}${url.pathname}`;
  } catch {
    return 'the configured address';
  }
}

export function connectionConfig(connectionString: string, options: DatabaseOptions): ClientConfig {
  const statementMs = options.statementTimeoutMs ?? 8_000;
  return {
    connectionString,
    application_name: 'muster',
    keepAlive: true,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 5_000,
    statement_timeout: statementMs,
    lock_timeout: Math.ceil(statementMs / 2),
    idle_in_transaction_session_timeout: statementMs * 2,
  };
}

function poolConfig(connectionString: string, options: DatabaseOptions): Knex.Config {
  const connectMs = options.connectTimeoutMs ?? 5_000;
  const silenceMs = options.silenceTimeoutMs ?? 12_000;
  return {
    client: 'pg',
    // Named so that knex does not ask each server first: that question would have no time-out.
    version: '14',
    connection: connectionConfig(connectionString, options) as Knex.PgConnectionConfig,
    acquireConnectionTimeout: connectMs + silenceMs,
    log: silent,
    compileSqlOnError: false,
    pool: {
      min: 0,
      max: options.maxConnections ?? 10,
      idleTimeoutMillis: Math.min(10_000, Math.ceil(silenceMs / 2)),
      afterCreate: (client: Client, done: (error: unknown, client: Client) => void) => {
        prepare(client, silenceMs).then(
          () => done(null, client),
          (error: unknown) =>
            void client.end().then(
              () => done(error, client),
              () => done(error, client),
            ),
        );
      },
    },
  };
}

/** knex warns on the console about connections that it replaces; the call that noticed reports the cause. */
const silent = { warn: () => undefined, error: () => undefined, deprecate: () => undefined, debug: () => undefined };

/** Every new connection: bounded silence, a schema that we know, the application's role where the login may take it. */
async function prepare(client: Client, silenceMs: number): Promise<void> {
  limitSilence(client, silenceMs);
  const { rows } = await client
    .query<{ version: number | null; may: boolean }>(
      `select (select max(version) from muster.migrations) as version,
              exists (select from pg_roles where rolname = 'muster_app' and pg_has_role(oid, 'member')) as may`,
    )
    .catch((error: unknown) => {
      throw ['42P01', '3F000'].includes(codeOf(error)) ? notMigrated('none') : error;
    });
  checkVersion(rows[0]?.version ?? 0);
  if (rows[0]?.may === true) {
    // Postgres 16 and later can grant membership without the right to SET ROLE.
    await client.query('set role muster_app').catch((error: unknown) => {
      if (codeOf(error) !== '42501') throw error;
    });
  }
}

/** Destroys a connection on which nothing was sent or received for so long. */
export function limitSilence(client: Client, silenceMs: number): void {
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
  stream.setTimeout(silenceMs, () => {
    stream.destroy(new Error(`Connection terminated: no answer for ${silenceMs} ms`));
  });
}

/** @throws OperatorError when the schema is not the one that this version of Muster knows. */
export function checkVersion(found: number): void {
  if (found > knownVersion) {
    throw new OperatorError({
      what: "the database's schema is newer than this Muster",
      found: `schema version ${found}`,
      needed: `${knownVersion} or older`,
      remedy: 'Start the version of Muster that migrated it, or a later one; or configure another database.',
    });
  }
  if (found < knownVersion) throw notMigrated(`schema version ${found}`);
}

function notMigrated(found: string): OperatorError {
  return new OperatorError({
    what: 'the database is not migrated',
    found,
    needed: `schema version ${knownVersion}`,
    remedy: 'Start Muster with `muster up`, or a worker of this version: both migrate the database first.',
  });
}

/** What a person has to know of the database when something is wrong with it: asked over one connection, changing nothing. */
import { Client } from 'pg';
import { codeOf, storeFailure } from './failures';
import { connectionConfig, whereIs } from './database';
import { knownVersion } from './migrations/all';

export interface DatabaseCondition {
  /** Host, port and database; never the password. */
  readonly where: string;
  /** Postgres' own version, such as 18.1. */
  readonly serverVersion: string;
  /** Version of Muster's schema; null: never migrated, or closed to this login. */
  readonly schemaVersion: number | null;
  /** What this version of Muster needs. */
  readonly neededSchemaVersion: number;
  /** What the application's role may do with rows of the journal; null while there is no journal. */
  readonly journal: {
    readonly role: string;
    readonly insert: boolean;
    readonly read: boolean;
    readonly change: boolean;
  } | null;
  /** Postgres' clock, UTC milliseconds. */
  readonly clockMs: number;
}

/** Settings as the store has them, with the application's role taken where the login may take it. */
const question = `
  select current_setting('server_version') as "serverVersion",
         extract(epoch from clock_timestamp()) * 1000 as "clockMs",
         to_regclass('muster.migrations') is not null as migrated,
         to_regclass('muster.journal') is not null as journal,
         case when exists (select from pg_roles where rolname = 'muster_app') then 'muster_app' else current_user end as role`;

/** @throws the three families, as the store does: TransientError while Postgres does not answer. */
export async function databaseCondition(connectionString: string, timeoutMs = 4_000): Promise<DatabaseCondition> {
  const where = whereIs(connectionString);
  const limits = { connectTimeoutMs: timeoutMs, statementTimeoutMs: timeoutMs };
  const client = new Client({ ...connectionConfig(connectionString, limits), query_timeout: timeoutMs });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<Answer>(question);
    const { serverVersion, clockMs, migrated, journal, role } = rows[0]!;
    return {
      where,
      serverVersion,
      clockMs: Number(clockMs),
      schemaVersion: migrated ? await schemaVersion(client) : null,
      neededSchemaVersion: knownVersion,
      journal: journal ? { role, ...(await rights(client, role)) } : null,
    };
  } catch (error) {
    throw storeFailure('Postgres cannot be used', where, error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

interface Answer {
  readonly serverVersion: string;
  readonly clockMs: string;
  readonly migrated: boolean;
  readonly journal: boolean;
  readonly role: string;
}

async function schemaVersion(client: Client): Promise<number | null> {
  try {
    const { rows } = await client.query<{ version: number | null }>(
      'select max(version) as version from muster.migrations',
    );
    return rows[0]?.version ?? null;
  } catch (error) {
    const noRight = '42501';
    if (codeOf(error) === noRight) return null;
    throw error;
  }
}

async function rights(client: Client, role: string): Promise<{ insert: boolean; read: boolean; change: boolean }> {
  const { rows } = await client.query<{ insert: boolean; read: boolean; change: boolean }>(
    `select has_table_privilege($1, 'muster.journal', 'insert') as insert,
            has_table_privilege($1, 'muster.journal', 'select') as read,
            has_table_privilege($1, 'muster.journal', 'update, delete, truncate') as change`,
    [role],
  );
  return rows[0]!;
}

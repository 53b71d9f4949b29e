/** The store: what the rest of the product uses. Construction only. */
import type { RecoveryOrder } from '../model/order';
import type { LedgerRow } from '../record/ledger';
import { defaultScope, type Store } from './contract';
import { openDatabase, select, type Database, type DatabaseOptions, type Scope } from './database';
import { createIdempotencyKeys } from './idempotency';
import { createJournal } from './journal';
import { readLedgerRows, readOpening } from './journal-rows';
import { createRehearsals } from './rehearsals';
import { createNotifications } from './notifications';
import { createRisks } from './risks';
import { createParkings } from './parkings';
import { createRunbooks } from './runbooks';
import { createRunTimes } from './run-times';
import { createRuns } from './runs';
import { createServers } from './servers';
import { createSitesSeen } from './sites';
import { createTokens } from './tokens';

export interface StoreOptions extends DatabaseOptions, Partial<Scope> {
  /** Default: the system's clock. */
  readonly clock?: () => Date;
}

/** What the record's own tools see beside the store. */
export interface OpenStore extends Store {
  /** Rows of the ledger after a sequence number, oldest first. */
  ledger(after?: number, limit?: number): Promise<LedgerRow[]>;
}

/**
 * Opens the store without connecting, so that it can be had while Postgres is down. The database must be migrated
 * (store/migrate.ts); the first call checks it.
 *
 * Every call throws the three families: TransientError when Postgres does not answer in time, OperatorError when its
 * schema or rights are not as needed.
 */
export function openStore(connectionString: string, options: StoreOptions = {}): OpenStore {
  const scope: Scope = {
    tenantId: options.tenantId ?? defaultScope.tenantId,
    coreId: options.coreId ?? defaultScope.coreId,
  };
  const database = openDatabase(connectionString, options);
  return {
    journal: createJournal(database, scope),
    runs: createRuns(database, scope),
    times: createRunTimes(database, scope),
    parkings: createParkings(database, scope),
    servers: createServers(database, scope),
    tokens: createTokens(database, scope, options.clock ?? (() => new Date())),
    idempotency: createIdempotencyKeys(database, scope),
    sites: createSitesSeen(database, scope),
    notifications: createNotifications(database, scope),
    runbooks: createRunbooks(database, scope, options.clock ?? (() => new Date())),
    rehearsals: createRehearsals(database, scope),
    risks: createRisks(database, scope),
    order: (runId) => readOrder(database, scope, runId),
    ledger: (after = 0, limit = 1000) =>
      database.query('the ledger could not be read', (db) => readLedgerRows(db, scope, after, limit)),
    ping: () =>
      database.query('Postgres was asked for a sign of life', async (db) => void (await select(db, 'select 1', []))),
    close: () => database.close(),
  };
}

function readOrder(database: Database, scope: Scope, runId: string): Promise<RecoveryOrder | undefined> {
  return database.query(`the order of run ${runId} could not be read`, async (db) => {
    const opening = await readOpening(db, { ...scope, runId });
    return opening?.event.kind === 'run-opened' ? opening.event.data.order : undefined;
  });
}

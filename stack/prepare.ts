/** What has to be in the database before anybody can work: the schema, and the first person's token. */
import { mkdir } from 'node:fs/promises';
import type { Configuration } from '../config/configuration';
import { readPostgresUrl } from '../config/postgres-url';
import { migrate } from '../store/migrate';
import { openStore } from '../store/open-store';
import { ensureAdminToken } from './admin-token';
import { dataFolderAt } from './data-folder';
import { StackError } from './exit-codes';

/**
 * Migrates the database and makes sure that the admin token's file is there. May be repeated.
 *
 * @throws StackError `part-not-up` when the database does not answer or refuses
 */
export async function prepareDatabase(configuration: Configuration, say: (line: string) => void): Promise<void> {
  const { tokenFile, root, logs } = dataFolderAt(configuration.dataFolder);
  try {
    const url = readPostgresUrl(configuration);
    await migrate(url);
    await mkdir(root, { recursive: true, mode: 0o711 });
    const store = openStore(url, { tenantId: configuration.tenantId, coreId: configuration.coreId });
    try {
      if (await ensureAdminToken(store.tokens, tokenFile)) say(`An admin token was made: ${tokenFile}`);
    } finally {
      await store.close();
    }
  } catch (error) {
    const remedy = configuration.postgres.embedded
      ? `Its log is in ${logs}.`
      : 'Check the server and the URL in MUSTER_POSTGRES_URL_FILE.';
    const facts = { what: 'the database could not be prepared', found: (error as Error).message, remedy };
    throw new StackError('part-not-up', facts, { cause: error });
  }
}

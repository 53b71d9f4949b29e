/** Brings the database up to date without keeping recoveries waiting for it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { migrate } from '../store/migrate';

const againAfterMs = 5_000;

/**
 * Migrates, and tries again until it worked or `signal` says stop. A worker does its work meanwhile: with Postgres down
 * only the journal waits (design: law 5).
 */
export async function migrateWhenPossible(url: string, log: Logger, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const { version, applied } = await migrate(url);
      log.info({ version, applied }, 'the database is up to date');
      return;
    } catch (error) {
      log.warn(
        { error: (error as Error).message },
        `the database is not ready; tried again in ${againAfterMs / 1000} s`,
      );
      await sleep(againAfterMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

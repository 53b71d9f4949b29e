/** Requests that may come twice: the first answer under a key is the answer. */
import { OperatorError, PermanentError } from '../model/errors';
import { storableText } from '../record/canonical';
import type { IdempotencyKeys } from './contract';
import { select, type Database, type Scope } from './database';

export function createIdempotencyKeys(database: Database, scope: Scope): IdempotencyKeys {
  return {
    remember: (key, contentSha256, answer) =>
      database.query('an idempotency key could not be kept', async (db) => {
        const id = [scope.tenantId, scope.coreId, storableText(key)];
        const fresh = await select<{ run_id: string }>(
          db,
          `insert into muster.idempotency_keys (tenant_id, core_id, key, content_sha256, run_id) values (?, ?, ?, ?, ?)
           on conflict do nothing returning run_id`,
          [...id, contentSha256, storableText(answer.runId)],
        );
        if (fresh.length > 0) return { runId: answer.runId, seenBefore: false };
        const [row] = await select<{ content_sha256: string; run_id: string }>(
          db,
          `select content_sha256, run_id from muster.idempotency_keys
           where tenant_id = ? and core_id = ? and key = ?`,
          id,
        );
        if (row === undefined) throw new PermanentError({ what: 'an idempotency key vanished', found: key });
        if (row.content_sha256 !== contentSha256) throw otherContent(key, row.run_id);
        return { runId: row.run_id, seenBefore: true };
      }),
  };
}

function otherContent(key: string, runId: string): OperatorError {
  return new OperatorError({
    what: `the idempotency key ${JSON.stringify(key.slice(0, 80))} was used for another request`,
    found: `run ${runId} under this key, asked for with other content`,
    needed: 'the same content, or a new key',
    remedy: 'Look at that run first; then repeat the request with a new key if another run is meant.',
  });
}

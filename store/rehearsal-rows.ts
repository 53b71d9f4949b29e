/** What rehearsals show, computed with the journal's batches. */
import type { Knex } from 'knex';
import type { RunEvent } from '../model/events';
import { projectRehearsal, telling, type RehearsedRun } from '../model/readiness/rehearsed';
import { storableText } from '../record/canonical';
import type { ChainId } from '../record/row';
import { select } from './database';

/** Brings the rehearsal's row up to a batch; called under the chain's lock, in its transaction. Nothing for other runs. */
export async function projectRehearsalInto(
  trx: Knex,
  chain: ChainId,
  parentRunId: string | null,
  events: readonly RunEvent[],
): Promise<void> {
  if (!events.some(({ kind }) => telling.includes(kind))) return;
  const id = [chain.tenantId, chain.coreId, chain.runId];
  const [stored] = await select<{ facts: string }>(
    trx,
    'select facts from muster.rehearsals where tenant_id = ? and core_id = ? and run_id = ?',
    id,
  );
  const before = stored === undefined ? undefined : (JSON.parse(stored.facts) as RehearsedRun);
  const after = projectRehearsal(before, events);
  if (after === undefined || after === before) return;
  await trx('rehearsals')
    .withSchema('muster')
    .insert({
      tenant_id: chain.tenantId,
      core_id: chain.coreId,
      run_id: chain.runId,
      parent_run_id: parentRunId === null ? null : storableText(parentRunId),
      runbook: after.runbook === null ? null : storableText(after.runbook.name),
      sha256: after.runbook?.sha256 ?? null,
      server_id: after.server === null ? null : storableText(after.server.serverId),
      state: after.state,
      opened_at: storableText(after.openedAt),
      closed_at: after.closedAt === null ? null : storableText(after.closedAt),
      facts: JSON.stringify(after),
    })
    .onConflict(['tenant_id', 'core_id', 'run_id'])
    .merge();
}

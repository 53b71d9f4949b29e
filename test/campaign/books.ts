/** What a night reads when it is over, past the API: Postgres and Temporal themselves. */
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import type { RunEvent } from '../../model/events';
import { within } from '../../programs/within';
import { openEvidenceStore, type EvidenceStore } from '../../record/evidence';
import { verifyLedger, type LedgerRow } from '../../record/ledger';
import type { JournalRow } from '../../record/row';
import { defaultScope, type Store } from '../../store/contract';
import { openStore } from '../../store/open-store';
import { dataConverter } from '../../wire/payloads';
import { liveRunQuery, type LiveRun } from '../../workflows/messages';
import { replays } from '../support/replays';
import type { Act } from './acts';
import { until } from './api-client';
import type { KillableStack } from './killable-stack';
import { openWorkflows } from './leftovers';
import { recordFindings } from './record-findings';
import type { Night } from './stage';

export interface Books {
  readonly store: Store;
  readonly client: Client;
  readonly ledger: readonly LedgerRow[];
  readonly evidence: EvidenceStore;
}

/** Opened for `read` alone. */
export async function withBooks<T>(stack: KillableStack, read: (books: Books) => Promise<T>): Promise<T> {
  const store = openStore(stack.postgresUrl);
  const connection = await Connection.connect({ address: stack.temporal.address });
  try {
    const client = new Client({ connection, namespace: stack.temporal.namespace, dataConverter });
    const evidence = openEvidenceStore({ folder: stack.evidenceFolder, ...defaultScope });
    return await read({ store, client, evidence, ledger: await store.ledger() });
  } finally {
    await connection.close();
    await store.close();
  }
}

export interface ClosedRun {
  readonly workflowId: string;
  readonly runId: string;
  readonly acts: readonly Act[];
}

/** Record, ledger, workflow and report of a run that has ended. */
export async function recordOf(
  { api }: Pick<Night, 'api'>,
  { store, client, ledger, evidence }: Books,
  { workflowId, runId, acts }: ClosedRun,
): Promise<{ rows: readonly JournalRow[]; findings: string[] }> {
  const handle = client.workflow.getHandle(workflowId);
  const live: RunEvent[] = [];
  for (let from: number | null | undefined = 0; from != null;) {
    const page: LiveRun = await handle.query(liveRunQuery, { from });
    live.push(...page.events);
    from = page.next;
  }
  const rows = await store.journal.rows(runId, 0, mostRows);
  const findings = await recordFindings(rows, ledger, live, evidence, acts);
  const { status } = await handle.describe();
  if (status.name !== 'COMPLETED') findings.push(`its workflow is ${status.name}`);
  const page = await api.call('GET', `/runs/${runId}/report`, { html: true });
  if (page.status !== 200 || !String(page.body).includes(runId)) findings.push(`its report is answered ${page.status}`);
  return { rows, findings };
}

const mostRows = 100_000;

let quiet = false;

/** Whether a new worker would come to what happened, of each of these workflows: a run that cannot be read again is stuck for good. */
export async function replayFindings({ client }: Books, workflowIds: readonly string[]): Promise<string[]> {
  if (!quiet) Runtime.install({ logger: new DefaultLogger('ERROR') });
  quiet = true;
  const histories = async function* () {
    for (const workflowId of workflowIds)
      yield { workflowId, history: await client.workflow.getHandle(workflowId).fetchHistory() };
  };
  const findings: string[] = [];
  for await (const { workflowId, error } of replays(histories()))
    if (error !== undefined) findings.push(`${workflowId} does not replay: ${error.message}`);
  return findings;
}

export function ledgerFindings({ ledger }: Books): string[] {
  const verdict = verifyLedger(ledger);
  return verdict.ok ? [] : [`the ledger breaks at row ${verdict.sequence}: ${verdict.why}`];
}

/** Which of these workflows have ended, and which others run. */
export async function stillRunning(
  { client }: Books,
  deadline: AbortSignal,
  ids: readonly string[],
): Promise<string[]> {
  const wanted = [...ids].sort();
  // The list of executions follows what happened a moment later.
  let found: string[] = [];
  const asWanted = async () => ((found = await openWorkflows(client)).join() === wanted.join() ? true : undefined);
  await within({ signals: [deadline], ms: 10_000 }, (soon) => until('the right workflows', asWanted, soon)).catch(
    () => undefined,
  );
  const unwanted = found.filter((id) => !wanted.includes(id)).map((id) => `workflow ${id} still runs`);
  return [...unwanted, ...wanted.filter((id) => !found.includes(id)).map((id) => `workflow ${id} has ended`)];
}

/** Whether a Temporal server answers, and what Muster needs of its namespace. */
import { Connection } from '@temporalio/client';
import { StackError } from './exit-codes';

const dayMs = 86_400_000;

/** True when the namespace can be read: the server is up and knows it. */
export async function namespaceAnswers(address: string, namespace: string): Promise<boolean> {
  return withConnection(address, async (connection) => {
    await connection.workflowService.describeNamespace({ namespace });
    return true;
  }).catch(() => false);
}

/**
 * Raises the namespace's retention to at least this many days. The dev server creates namespaces with 24 hours, after
 * which a finished run's history would be gone (temporal schema/sqlite/setup.go).
 */
export async function raiseRetention(address: string, namespace: string, days: number): Promise<void> {
  await withConnection(address, async ({ workflowService }) => {
    const { config } = await workflowService.describeNamespace({ namespace });
    const presentMs = Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) * 1000;
    if (presentMs >= days * dayMs) return;
    const seconds = BigInt((days * dayMs) / 1000);
    await workflowService.updateNamespace({
      namespace,
      config: { workflowExecutionRetentionTtl: { seconds: toLong(seconds) } },
    });
  });
}

/** @throws StackError `part-not-up` when the server that the configuration names does not answer or lacks the namespace. */
export async function requireTemporal(address: string, namespace: string): Promise<void> {
  const failure = await withConnection(address, ({ workflowService }) =>
    workflowService.describeNamespace({ namespace }),
  ).then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
  );
  if (failure === undefined) return;
  throw new StackError(
    'part-not-up',
    {
      what: `Temporal at ${address} cannot be used`,
      found: failure.message,
      needed: `a server that answers and has the namespace ${namespace}`,
      remedy: `Start it or create the namespace (\`temporal operator namespace create -n ${namespace}\`), or unset MUSTER_TEMPORAL_ADDRESS to use the embedded server.`,
    },
    { cause: failure },
  );
}

async function withConnection<T>(address: string, use: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address, connectTimeout: 2_000 });
  try {
    return await connection.withDeadline(Date.now() + 5_000, () => use(connection));
  } finally {
    await connection.close();
  }
}

type Long = NonNullable<Parameters<Connection['workflowService']['updateNamespace']>[0]['config']>;
type Seconds = NonNullable<NonNullable<Long['workflowExecutionRetentionTtl']>['seconds']>;

/** protobufjs takes a plain number where a 64-bit integer is declared, as long as it is safe. */
function toLong(value: bigint): Seconds {
  return Number(value) as unknown as Seconds;
}

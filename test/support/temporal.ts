/** The test run's Temporal server, and what keeps the test files out of each other's way on it. */
import { randomUUID } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { dataConverter } from '../../wire/payloads';
import { testNamespace } from './global-setup';

export interface TestTemporal {
  readonly address: string;
  readonly namespace: string;
  /** For clients. */
  readonly connection: Connection;
  readonly client: Client;
  /** For workers. */
  readonly nativeConnection: NativeConnection;
  /** A name that no other test file has: `unique('muster')` for task queues, site, server and workflow ids. */
  unique(name: string): string;
  /** To be awaited in afterAll, after every worker has ended: a worker that still runs fails it. */
  close(): Promise<void>;
}

export function testTemporalAddress(): string {
  const address = process.env['MUSTER_TEST_TEMPORAL'];
  if (address === undefined) {
    throw new Error('MUSTER_TEST_TEMPORAL is not set: jest ran without test/support/global-setup.ts');
  }
  return address;
}

/** Opens connections for one test file; call it in beforeAll and `close` in afterAll. */
export async function temporalForTest(): Promise<TestTemporal> {
  const address = testTemporalAddress();
  const namespace = testNamespace;
  const connection = await Connection.connect({ address });
  const nativeConnection = await NativeConnection.connect({ address });
  const suffix = randomUUID().slice(0, 8);
  return {
    address,
    namespace,
    connection,
    client: new Client({ connection, namespace, dataConverter }),
    nativeConnection,
    unique: (name) => `${name}-${suffix}`,
    async close() {
      await connection.close();
      // Throws when a worker still uses it (sdk worker/src/connection.ts): the leak check.
      await nativeConnection.close();
    },
  };
}

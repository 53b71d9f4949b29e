/**
 * Before the tests: one Temporal server and one Postgres for all of them, on free ports and in temporary folders.
 * Test files reach them through temporal.ts and postgres.ts. Both die with the jest process, also when it is killed.
 */
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Part } from '../../stack/part';
import { waitUntilReady } from '../../stack/part';
import { freePort } from '../../stack/ports';
import { cacheFolder, findTemporal } from '../../stack/temporal-binary';
import { startTemporal } from '../../stack/temporal-server';
import { namespaceAnswers } from '../../stack/temporal-check';
import { findPostgres } from '../../stack/postgres-binaries';
import { postgresUrl, startPostgres, stopPostgres } from '../../stack/postgres-server';
import { testWorkflowBundle } from './workflow-bundle';

/** What global-teardown.ts has to end; also what a set-up that failed half-way ends itself. */
export interface TestServers {
  folder: string;
  temporal?: Part;
  postgres?: Part;
}

const host = '127.0.0.1';
export const testNamespace = 'muster-test';

export default async function globalSetup(): Promise<void> {
  const servers: TestServers = { folder: await mkdtemp(join(tmpdir(), 'muster-test-')) };
  (globalThis as { musterTestServers?: TestServers }).musterTestServers = servers;
  // Postgres runs as an unprivileged user when the tests run as root: it must be able to pass.
  await chmod(servers.folder, 0o711);
  // Here, so that no two test files make the same bundle at the same time.
  const parts = [startTestTemporal(servers), startTestPostgres(servers), testWorkflowBundle()];
  const results = await Promise.allSettled(parts);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed === undefined) return;
  await stopTestServers(servers);
  throw failed.reason;
}

/** Stops both by process id and removes the folder; what was never started is no error. */
export async function stopTestServers(servers: TestServers): Promise<void> {
  await Promise.all([
    servers.temporal?.stop('SIGKILL', 5_000),
    servers.postgres === undefined ? undefined : stopPostgres(servers.postgres),
  ]);
  await rm(servers.folder, { recursive: true, force: true });
}

async function startTestTemporal(servers: TestServers): Promise<void> {
  const port = await freePort();
  const folder = join(servers.folder, 'temporal');
  await mkdir(folder);
  servers.temporal = startTemporal({
    binary: await findTemporal(),
    databaseFile: join(folder, 'temporal.db'),
    host,
    port,
    uiPort: null,
    namespace: testNamespace,
    logFile: join(folder, 'temporal.log'),
  });
  const address = `${host}:${port}`;
  await waitUntilReady(servers.temporal, () => namespaceAnswers(address, testNamespace), 30_000);
  process.env['MUSTER_TEST_TEMPORAL'] = address;
}

async function startTestPostgres(servers: TestServers): Promise<void> {
  const port = await freePort();
  servers.postgres = await startPostgres({
    programs: await findPostgres(join(cacheFolder(), 'postgres')),
    folder: join(servers.folder, 'postgres'),
    host,
    port,
    password: undefined,
    // Nothing here has to survive a power cut.
    settings: ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off', 'shared_buffers=32MB'],
    logFile: join(servers.folder, 'postgres.log'),
  });
  process.env['MUSTER_TEST_POSTGRES'] = postgresUrl({ host, port, password: undefined }, 'postgres');
}

/** One simulated world for a test file: two sites, a store, a worker with every activity, and a client to act with. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import type { WorkflowHandle } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import { v7 } from 'uuid';
import type { RecoveryOrder } from '../../model/order';
import type { ServerSpec } from '../../model/server';
import { hardwareProfiles } from '../../model/server';
import type { SimulatedSite } from '../../platforms/simulated/open';
import { seedMachine } from '../../platforms/simulated/seed';
import { openStore } from '../../store/open-store';
import type { OpenStore } from '../../store/open-store';
import type { DecisionRequest, LiveRun, Parking } from '../../workflows/messages';
import { decideUpdate, liveRunQuery, recoveryWorkflowId, workflowQueue } from '../../workflows/messages';
import { dataConverter } from '../../wire/payloads';
import { ines, makeOrder } from './order';
import { pauses } from './pauses';
import { withDb } from './postgres';
import { testTemporalAddress } from './temporal';
import { openSites, runWorkers, worldScope } from './world-worker';
import type { SiteWrapper, WorkerSettings } from './world-worker';

export interface World {
  readonly folder: string;
  readonly namespace: string;
  /** What a worker of this world needs to know. */
  readonly settings: WorkerSettings;
  readonly production: SimulatedSite;
  readonly recovery: SimulatedSite;
  readonly store: OpenStore;
  readonly client: Client;
  /** Creates a source machine, protects it by one cycle, and returns what is protected. */
  server(name: string, options?: { disks?: number }): Promise<ServerSpec>;
  /** An order for this world with times of a test: everything that may be waited for takes milliseconds. */
  order(server: ServerSpec, changes?: Partial<RecoveryOrder>): RecoveryOrder;
  start(order: RecoveryOrder): Promise<RunHandle>;
  close(): Promise<void>;
}

export type RunHandle = WorkflowHandle & { readonly runOrder: RecoveryOrder };

export interface WorldOptions {
  /** Changes the address of the worker's database: a door that a test can shut. */
  readonly databaseUrl?: (url: string) => string;
  /** Stands between the activities and the site: faults, counters. */
  readonly recoverySite?: SiteWrapper;
  /** No workers in this process: the test starts them as processes that it can kill. */
  readonly ownWorkers?: boolean;
}

export async function openWorld(options: WorldOptions = {}): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'muster-world-'));
  const { production, recovery } = openSites(folder);
  const database = await holdDatabase();
  const store = openStore(database.url, worldScope);
  const temporal = await openNamespace();
  const settings: WorkerSettings = {
    folder,
    namespace: temporal.namespace,
    address: testTemporalAddress(),
    databaseUrl: options.databaseUrl?.(database.url) ?? database.url,
  };
  const workers = options.ownWorkers === true ? null : await runWorkers(settings, options.recoverySite);
  const client = new Client({ connection: temporal.connection, namespace: temporal.namespace, dataConverter });
  return {
    folder,
    namespace: temporal.namespace,
    settings,
    production,
    recovery,
    store,
    client,
    server: (name, more) => protectOne(folder, production, recovery, name, more?.disks ?? 1),
    order: orderFor,
    async start(order) {
      const handle = await client.workflow.start('pushButtonRecovery', {
        taskQueue: workflowQueue,
        workflowId: recoveryWorkflowId(order.tenantId, order.server.id),
        args: [order],
      });
      return Object.assign(handle, { runOrder: order });
    },
    async close() {
      await workers?.stop();
      await store.close();
      // Calls that are still retried fail on a closed channel: give them the moment they need to end.
      await temporal.connection.close();
      await database.release();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A namespace of its own, because queue names are the product's fixed ones. */
async function openNamespace(): Promise<{ namespace: string; connection: Connection }> {
  const address = testTemporalAddress();
  const namespace = `world-${randomUUID().slice(0, 8)}`;
  const connection = await Connection.connect({ address });
  await connection.workflowService.registerNamespace({
    namespace,
    workflowExecutionRetentionPeriod: { seconds: 86_400 as never },
  });
  const client = new Client({ connection, namespace });
  // The server's namespace cache learns of it a moment later.
  for (let tries = 0; ; tries += 1) {
    try {
      await client.workflow.count();
      break;
    } catch (error) {
      if (tries > 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  return { namespace, connection };
}

/** withDb lends a database to a function; a world keeps it until it is closed. */
async function holdDatabase(): Promise<{ url: string; release: () => Promise<void> }> {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  let lent: Promise<void> = Promise.resolve();
  const url = await new Promise<string>((resolve, reject) => {
    lent = withDb(async (db) => {
      resolve(db.url);
      await released;
    });
    lent.catch(reject);
  });
  return {
    url,
    release: async () => {
      release();
      await lent;
    },
  };
}

async function protectOne(
  folder: string,
  production: SimulatedSite,
  recovery: SimulatedSite,
  name: string,
  disks: number,
): Promise<ServerSpec> {
  const diskSizesBytes = Array.from({ length: disks }, () => 256 * 1024);
  const machineName = await seedMachine(join(folder, 'production'), { name, diskSizesBytes });
  const discovered = await production.source.discover(machineName);
  const server: ServerSpec = {
    ...discovered,
    id: v7(),
    name,
    tier: 1,
    objectives: { rpoMs: 60_000, rtoMs: 600_000 },
    source: { siteId: 'production', machineName },
    recoverySiteId: 'recovery',
    cadence: { pointEveryMs: 200, freezeEveryMs: 0, keepPoints: 5 },
    probes: [
      {
        name: 'counter',
        command: ['/usr/local/bin/counter-status'],
        expectExitCode: 0,
        expectOutput: '"chain":"ok"',
        timeoutMs: 5_000,
      },
    ],
  };
  await recovery.replicas.prepare(server);
  await recovery.replicas.cycle(server);
  return server;
}

function orderFor(server: ServerSpec, changes: Partial<RecoveryOrder> = {}): RecoveryOrder {
  const now = new Date().toISOString();
  return makeOrder({
    runId: v7(),
    server,
    target: {
      siteId: 'recovery',
      machineName: `${server.name}-recovered`,
      hardware: hardwareProfiles['vmware-pvscsi']!,
      firmware: server.firmware,
      cpuCount: 1,
      memoryBytes: 512 * 1024 ** 2,
      networks: {},
    },
    sourceDeadlineMs: 20_000,
    proof: { heartbeatTimeoutMs: 3_000, stableForMs: 50, screenshot: true },
    retry: { maxAttempts: 3, firstDelayMs: 10, factor: 2, maxDelayMs: 100 },
    requestedAt: now,
    lostAt: null,
    ...changes,
  });
}

export function live(handle: RunHandle): Promise<LiveRun> {
  return handle.query(liveRunQuery);
}

/** Waits until the run waits for people; fails when it ends instead. */
export async function parked(handle: RunHandle): Promise<Parking> {
  const pause = pauses(20);
  for (;;) {
    const run = await live(handle);
    const [parking] = run.parkings;
    if (parking !== undefined) return parking;
    if (['succeeded', 'succeeded-with-exceptions', 'aborted', 'failed'].includes(run.state)) {
      throw new Error(`The run ended as ${run.state} instead of waiting:\n${describeEvents(run)}`);
    }
    await pause();
  }
}

export function decide(
  handle: RunHandle,
  parking: Parking,
  decision: DecisionRequest['decision'],
  more: Partial<DecisionRequest> = {},
): Promise<unknown> {
  const { step, item, epoch } = parking;
  return handle.executeUpdate(decideUpdate, {
    args: [{ step, item, epoch, decision, reason: 'as the test says', from: null, input: null, by: ines, ...more }],
  });
}

export function describeEvents(run: LiveRun): string {
  return run.events
    .map(
      (event) =>
        `${event.step ?? '-'}/${event.item ?? '-'} ${event.kind} ${event.kind === 'attempt-failed' ? event.data.failure.message : ''}`,
    )
    .join('\n');
}

/**
 * Keeps the run's history for the replay tests, when asked to by `npm run test:record`. Recorded from real runs and in
 * Temporal's own JSON, because hand-made histories do not notice a changed activity.
 */
export async function keepHistory(handle: WorkflowHandle, name: string): Promise<void> {
  if (process.env['MUSTER_RECORD'] === undefined) return;
  const folder = join(__dirname, '..', 'replay', 'histories');
  await mkdir(folder, { recursive: true });
  // Stack traces hold the paths of the machine that recorded them, and replay reads none of them.
  const json = JSON.parse(historyToJSON(await handle.fetchHistory()), (key, value: unknown) =>
    key === 'stackTrace' ? '' : value,
  ) as unknown;
  await writeFile(join(folder, `${name}.json`), `${JSON.stringify(json)}\n`);
}

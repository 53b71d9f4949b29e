/** One simulated world for a test file: two sites, a store, a worker with every activity, and a client to act with. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import type { WorkflowHandle } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import type { WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { v7 } from 'uuid';
import { createActivities } from '../../activities';
import { createEvidenceKeeper } from '../../activities/evidence';
import { createJournalActivities } from '../../activities/journal';
import type { ActivityDeps, Sites } from '../../activities/site';
import type { RecoveryOrder } from '../../model/order';
import type { ServerSpec } from '../../model/server';
import { hardwareProfiles } from '../../model/server';
import { openSimulatedSite } from '../../platforms/simulated/open';
import type { SimulatedSite } from '../../platforms/simulated/open';
import { seedMachine } from '../../platforms/simulated/seed';
import { openStore } from '../../store/open-store';
import type { OpenStore } from '../../store/open-store';
import type { DecisionRequest, LiveRun, Parking } from '../../workflows/messages';
import {
  decideUpdate,
  journalQueue,
  liveRunQuery,
  recoveryWorkflowId,
  siteQueue,
  workflowQueue,
} from '../../workflows/messages';
import { ines, makeOrder } from './order';
import { withDb } from './postgres';
import { testTemporalAddress } from './temporal';

export interface World {
  readonly folder: string;
  readonly namespace: string;
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
  readonly recoverySite?: (
    site: SimulatedSite,
    folder: string,
  ) => Pick<SimulatedSite, 'platform' | 'replicas' | 'disks'>;
}

let bundle: Promise<WorkflowBundleWithSourceMap> | undefined;

export async function openWorld(options: WorldOptions = {}): Promise<World> {
  quietRuntime();
  bundle ??= bundleWorkflowCode({
    workflowsPath: require.resolve('../../workflows/index'),
    logger: new DefaultLogger('ERROR'),
  });
  const folder = await mkdtemp(join(tmpdir(), 'muster-world-'));
  const production = openSimulatedSite({ folder: join(folder, 'production'), id: 'production' });
  const recovery = openSimulatedSite({
    folder: join(folder, 'recovery'),
    id: 'recovery',
    sources: { production: production.source },
  });
  const parts = { ...recovery, ...options.recoverySite?.(recovery, folder) };
  const sites: Sites = {
    recovery: new Map([
      [
        'recovery',
        {
          id: 'recovery',
          platform: parts.platform,
          replicas: parts.replicas,
          disks: parts.disks,
          leaseFolder: join(folder, 'leases'),
        },
      ],
    ]),
    source: new Map([['production', { id: 'production', platform: production.platform, source: production.source }]]),
  };
  const database = await holdDatabase();
  const scope = { tenantId: 'default', coreId: 'core1' };
  const store = openStore(database.url, scope);
  const workerStore = openStore(options.databaseUrl?.(database.url) ?? database.url, scope);
  const deps: ActivityDeps = {
    sites,
    evidence: createEvidenceKeeper({ folder: join(folder, 'evidence') }, () => undefined),
    worker: { kind: 'worker', id: 'test-worker', name: 'test-worker' },
    now: Date.now,
  };
  const temporal = await openNamespace();
  const common = {
    connection: temporal.native,
    namespace: temporal.namespace,
    maxHeartbeatThrottleInterval: '1s',
    stickyQueueScheduleToStartTimeout: '2s',
  } as const;
  const workers = [
    await Worker.create({ ...common, taskQueue: workflowQueue, workflowBundle: await bundle }),
    await Worker.create({ ...common, taskQueue: siteQueue('recovery'), activities: createActivities(deps) }),
    await Worker.create({ ...common, taskQueue: journalQueue, activities: createJournalActivities(workerStore) }),
  ];
  const running = workers.map((worker) => worker.run());
  const client = new Client({ connection: temporal.connection, namespace: temporal.namespace });
  return {
    folder,
    namespace: temporal.namespace,
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
      workers.forEach((worker) => worker.shutdown());
      await Promise.all(running);
      await Promise.all([store.close(), workerStore.close()]);
      await temporal.native.close();
      // Calls that are still retried fail on a closed channel: give them the moment they need to end.
      await temporal.connection.close();
      await database.release();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

let quiet = false;
function quietRuntime(): void {
  if (!quiet) Runtime.install({ logger: new DefaultLogger('ERROR') });
  quiet = true;
}

/** A namespace of its own, because queue names are the product's fixed ones. */
async function openNamespace(): Promise<{ namespace: string; connection: Connection; native: NativeConnection }> {
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
  return { namespace, connection, native: await NativeConnection.connect({ address }) };
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
    sourceDeadlineMs: 2_000,
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
  for (;;) {
    const run = await live(handle);
    const [parking] = run.parkings;
    if (parking !== undefined) return parking;
    if (['succeeded', 'succeeded-with-exceptions', 'aborted', 'failed'].includes(run.state)) {
      throw new Error(`The run ended as ${run.state} instead of waiting:\n${describeEvents(run)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
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
  const json = JSON.parse(historyToJSON(await handle.fetchHistory())) as unknown;
  await writeFile(join(folder, `${name}.json`), `${JSON.stringify(json)}\n`);
}

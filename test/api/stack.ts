/**
 * Everything behind the API, real: Postgres (behind a proxy that can be cut), Temporal in a namespace of its own, the
 * workflows, and the activities on a simulated site in a temporary folder.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { Client, Connection } from '@temporalio/client';
import pino from 'pino';
import { createActivities } from '../../activities';
import { createJournalActivities } from '../../activities/journal';
import { createScheduleActivities } from '../../activities/scheduled-rehearsals';
import type { ActivityDeps, RecoverySite } from '../../activities/site';
import { assembleApi } from '../../api/app';
import { defaultApiConfig, type ApiDeps } from '../../api/deps';
import { connectTemporal } from '../../api/temporal';
import { openSimulatedSite } from '../../platforms/simulated/open';
import { seedMachine } from '../../platforms/simulated/seed';
import { openEvidenceStore } from '../../record/evidence';
import { v7 as uuidv7 } from 'uuid';
import { roles, type JournalRow, type Role, type Store } from '../../store/contract';
import { installationChain } from '../../store/journal';
import { openStore } from '../../store/open-store';
import { journalQueue, replicationQueue, siteQueue, workflowQueue } from '../../workflows/messages';
import { dataConverter } from '../../wire/payloads';
import { storyServer } from '../support/order';
import { pauses } from '../support/pauses';
import { withDb } from '../support/postgres';
import { testTemporalAddress } from '../support/temporal';
import { testWorkflowBundle } from '../support/workflow-bundle';
import { proxyTo, type Proxy } from './proxy';

export const siteId = 'dr';
const scope = { tenantId: 'main', coreId: 'main' };

export interface WorkerParts {
  readonly ofSite?: boolean;
  /** Steps of the site at the same time. Default: as many as there are. */
  readonly siteSlots?: number;
}

export interface TestStack {
  readonly deps: ApiDeps;
  readonly store: Store;
  readonly postgres: Proxy;
  readonly folder: string;
  readonly namespace: string;
  /** One token for each role; the admin's is called `admin`, and so on. */
  readonly tokens: Readonly<Record<Role, string>>;
  /** A source machine at the simulated site, running. */
  seed(name: string): Promise<void>;
  /** Keeps a file that no run names; returns its hash. */
  putEvidence(text: string): Promise<string>;
  /** A server that no machine stands behind. */
  saveServer(name: string): Promise<void>;
  /** What the installation's own chain has. */
  refusedRows(): Promise<JournalRow[]>;
  /** All of them, or only those that need no site. */
  startWorkers(parts?: WorkerParts): Promise<void>;
  /** Ends them as SIGTERM would. */
  stopWorkers(): Promise<void>;
  close(): Promise<void>;
}

/** What the workers' recovery site is beside the simulated one: its physical machines, say. */
export type SiteChanges = Partial<RecoverySite>;

/** Call in beforeAll, and `close` in afterAll. */
export async function openTestStack(
  changes: Partial<ApiDeps['config']> = {},
  siteChanges: SiteChanges = {},
  hostChecks?: ActivityDeps['hostChecks'],
): Promise<TestStack> {
  const database = await openDatabase();
  const url = new URL(database.url);
  const postgres = await proxyTo(url.hostname, Number(url.port));
  const proxied = Object.assign(new URL(url), { port: String(postgres.port) }).toString();
  const store = openStore(proxied, scope);
  const folder = await mkdtemp(join(tmpdir(), 'muster-api-'));
  const evidence = openEvidenceStore({ folder: join(folder, 'evidence'), ...scope });
  const namespace = await ownNamespace();
  const temporal = connectTemporal({
    address: testTemporalAddress(),
    namespace,
    queryDeadlineMs: 1_500,
    updateDeadlineMs: 5_000,
    siteDeadlineMs: 4_000,
  });
  const deps: ApiDeps = {
    store,
    temporal,
    evidence,
    config: { ...defaultApiConfig, ...scope, version: '0.0.0-test', siteIds: [siteId], streamEveryMs: 50, ...changes },
    clock: () => new Date(),
    log: pino({ level: 'silent' }),
  };
  const workers = await prepareWorkers(namespace, { folder, evidence, store, siteChanges, hostChecks });
  return {
    deps,
    store,
    postgres,
    folder,
    namespace,
    tokens: await issueTokens(store),
    seed: async (name) => void (await seedMachine(join(folder, 'site'), { name })),
    putEvidence: async (text) => (await evidence.put(text, 'note.txt', 'text/plain')).sha256,
    saveServer: (name) => store.servers.save({ ...storyServer, id: uuidv7(), name }),
    refusedRows: () => store.journal.rows(installationChain),
    startWorkers: workers.start,
    stopWorkers: workers.stop,
    async close() {
      await workers.close();
      await temporal.close();
      await store.close();
      await postgres.close();
      await database.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function openDatabase(): Promise<{ url: string; close(): Promise<void> }> {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  let dropped: Promise<void> | undefined;
  const url = await new Promise<string>((resolve, reject) => {
    dropped = withDb(async (db) => {
      resolve(db.url);
      await released;
    });
    dropped.catch(reject);
  });
  return {
    url,
    async close() {
      release();
      await dropped;
    },
  };
}

/** Queues have fixed names, so test files keep apart by namespace. */
async function ownNamespace(): Promise<string> {
  const connection = await Connection.connect({ address: testTemporalAddress() });
  const namespace = `api-${process.pid}-${Math.random().toString(36).slice(2, 10)}`;
  await connection.workflowService.registerNamespace({
    namespace,
    workflowExecutionRetentionPeriod: { seconds: 86_400 as never },
  });
  const client = new Client({ connection, namespace });
  // The server's namespace cache learns of a new one a moment later.
  for (let tries = 0; ; tries++) {
    const seen = await client.workflow.count().then(
      () => true,
      () => false,
    );
    if (seen || tries > 100) break;
    await sleep(100);
  }
  await connection.close();
  return namespace;
}

async function prepareWorkers(
  namespace: string,
  {
    folder,
    evidence,
    store,
    siteChanges,
    hostChecks,
  }: {
    folder: string;
    evidence: ReturnType<typeof openEvidenceStore>;
    store: Store;
    siteChanges: SiteChanges;
    hostChecks: ActivityDeps['hostChecks'];
  },
): Promise<{ start(parts?: WorkerParts): Promise<void>; stop(): Promise<void>; close(): Promise<void> }> {
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    telemetryOptions: { logging: { forward: {}, filter: 'ERROR' } },
  });
  const connection = await NativeConnection.connect({ address: testTemporalAddress() });
  const site = openSimulatedSite({ folder: join(folder, 'site'), id: siteId });
  const activities = createActivities({
    sites: {
      recovery: new Map([[siteId, { ...site, id: siteId, leaseFolder: join(folder, 'leases'), ...siteChanges }]]),
      source: new Map([[siteId, { ...site, id: siteId }]]),
    },
    evidence: { put: (_owner, bytes, name, mediaType) => evidence.put(bytes, name, mediaType) },
    secrets: () => Promise.reject(new Error('no secret is expected here')),
    worker: { kind: 'worker', id: 'test-worker', name: 'test-worker' },
    ...(hostChecks === undefined ? {} : { hostChecks }),
    now: Date.now,
  });
  let running: { workers: Worker[]; ended: Promise<unknown> } | undefined;
  const stop = async (): Promise<void> => {
    running?.workers.forEach((worker) => worker.shutdown());
    await running?.ended;
    running = undefined;
  };
  return {
    async start({ ofSite = true, siteSlots } = {}) {
      const workflowBundle = await testWorkflowBundle();
      // As create-workers.ts has it: a cancel reaches an activity with its next heartbeat, so a pause waits for one.
      const throttle = { maxHeartbeatThrottleInterval: '1s', defaultHeartbeatThrottleInterval: '1s' } as const;
      const common = { connection, namespace, dataConverter, shutdownGraceTime: 100, ...throttle };
      const workers = await Promise.all([
        Worker.create({ ...common, taskQueue: workflowQueue, workflowBundle }),
        Worker.create({
          ...common,
          taskQueue: journalQueue,
          activities: {
            ...createJournalActivities(store),
            ...createScheduleActivities({ store, physicalMachines: {}, now: Date.now }),
          },
        }),
        ...(ofSite ? [siteQueue(siteId), replicationQueue(siteId)] : []).map((taskQueue) =>
          Worker.create({
            ...{ ...common, taskQueue, activities: { ...activities } },
            ...(siteSlots === undefined || taskQueue !== siteQueue(siteId)
              ? {}
              : { maxConcurrentActivityTaskExecutions: siteSlots }),
          }),
        ),
      ]);
      running = { workers, ended: Promise.all(workers.map((worker) => worker.run())) };
    },
    stop,
    async close() {
      await stop();
      await connection.close();
    },
  };
}

async function issueTokens(store: Store): Promise<Record<Role, string>> {
  const issued = await Promise.all(
    roles.map(async (role) => [role, (await store.tokens.issue({ name: role, role }, null)).token] as const),
  );
  return Object.fromEntries(issued) as Record<Role, string>;
}

export type Call = (
  method: string,
  path: string,
  options?: { body?: unknown; token?: string | null; headers?: Record<string, string> },
) => Promise<{ status: number; headers: Headers; body: any }>; // eslint-disable-line @typescript-eslint/no-explicit-any

/** Calls the API as the admin unless another token is given; `null`: none. Answers are read as JSON where they are. */
export function caller({ deps, tokens }: Pick<TestStack, 'deps' | 'tokens'>): Call & {
  app: ReturnType<typeof assembleApi>['app'];
  refresh(): Promise<void>;
} {
  const { app, servers, runbooks } = assembleApi(deps);
  const call: Call = async (method, path, { body, token = tokens.admin, headers = {} } = {}) => {
    const response = await app.request(`/api/v1${path}`, {
      method,
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json');
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  };
  const refresh = async (): Promise<void> => {
    await servers.refresh();
    await runbooks.refresh();
  };
  return Object.assign(call, { app, refresh });
}

/**
 * Waits for what the system behind does in its own time; a look that fails is one that found nothing yet.
 * @throws when it has not become so after `withinMs`, with what the last look failed with.
 */
export async function eventually<T>(look: () => Promise<T | undefined | false>, withinMs = 60_000): Promise<T> {
  const end = performance.now() + withinMs;
  const pause = pauses(50);
  for (;;) {
    let failure = '';
    const found = await look().catch((error: unknown) => void (failure = `; the last look failed: ${String(error)}`));
    if (found !== undefined && found !== false) return found;
    if (performance.now() > end)
      throw new Error(`This did not become so within ${withinMs} ms${failure}: ${look.toString()}`);
    await pause();
  }
}

export type Reply = Awaited<ReturnType<Call>>;

export interface RecoveryTools {
  /** A running machine, added as a server and protected, with a first point; returns its id. */
  protectedServer(name: string): Promise<string>;
  /** Waits until the replica has a complete point. */
  firstPoint(name: string): Promise<void>;
  push(server: string, changes?: object, key?: string): Promise<Reply>;
  decide(runId: string, decision: object, token?: string): Promise<Reply>;
  /** Stores a runbook's text. @throws when the API does not take it. */
  imported(text: string): Promise<Reply['body']>;
  startRunbook(
    name: string,
    body: object,
    options?: { readonly key?: string; readonly token?: string },
  ): Promise<Reply>;
  /** Waits; returns the run as the API shows it. */
  inState(runId: string, state: string): Promise<Reply['body']>;
  /** Waits until the journal has the run's end. */
  closed(runId: string): Promise<Reply['body']>;
}

export function recoveryTools(stack: TestStack, call: Call): RecoveryTools {
  async function runWhere(runId: string, fits: (run: Reply['body']) => boolean): Promise<Reply['body']> {
    let last: Reply | undefined;
    const look = async () => {
      last = await call('GET', `/runs/${runId}`);
      return last.status === 200 && fits(last.body) && last.body;
    };
    return eventually(look).catch((error: Error) => {
      const { view, detail } = last?.body ?? {};
      throw new Error(`${error.message}; last seen: ${detail ?? `${view?.state} at ${view?.currentStep}`}`);
    });
  }
  return {
    async protectedServer(name) {
      await stack.seed(name);
      const added = await call('POST', '/servers', { body: newServer(name) });
      if (added.status !== 201) throw new Error(`The server was not added: ${JSON.stringify(added.body)}`);
      await call('POST', `/servers/${name}/protection`);
      await this.firstPoint(name);
      return added.body.id;
    },
    async firstPoint(name) {
      await eventually(async () => (await call('GET', `/servers/${name}/replica`)).body.points?.length > 0);
    },
    push: (server, changes = {}, key = `key-${Math.random()}`) =>
      call('POST', '/recoveries', { body: newRecovery(server, changes), headers: { 'idempotency-key': key } }),
    decide: (runId, decision, token) =>
      call('POST', `/runs/${runId}/decisions`, { body: decision, ...(token === undefined ? {} : { token }) }),
    async imported(text) {
      const { status, body } = await call('POST', '/runbooks', { body: { text } });
      if (status !== 200 && status !== 201) throw new Error(`The runbook was not imported: ${JSON.stringify(body)}`);
      return body;
    },
    startRunbook: (name, body, { key = `key-${Math.random()}`, token } = {}) =>
      call('POST', `/runbooks/${name}/runs`, {
        body: { reason: 'Site A lost power', ...body },
        headers: { 'idempotency-key': key },
        ...(token === undefined ? {} : { token }),
      }),
    inState: (runId, state) => runWhere(runId, (run) => run.view.state === state),
    closed: (runId) => runWhere(runId, (run) => run.view.closedAt !== null && run.source === 'journal'),
  };
}

/** For runbooks on simulated machines: how long a proven one has to stay so, and how long its first sign may take. */
export const planProof = { stableForMs: 100, heartbeatTimeoutMs: 5000 };

export const newServer = (name: string): object => ({
  name,
  source: { siteId, machineName: name },
  recoverySiteId: siteId,
  objectives: { rpoMs: 15_000, rtoMs: 600_000 },
  cadence: { pointEveryMs: 1000 },
});

export const newRecovery = (server: string, changes: object = {}): object => ({
  server,
  reason: 'Site A lost power',
  hardware: 'vmware-pvscsi',
  networks: { lan: 'lan' },
  proof: planProof,
  retry: { maxAttempts: 1 },
  ...changes,
});

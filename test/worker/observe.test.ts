/** What attempts, cycles and flushes leave in the log and in the metrics of a worker. */
import { asyncLocalStorage, type Context } from '@temporalio/activity';
import { recorded } from '../../activities/attempt';
import type { EffectInput } from '../../activities/contract';
import type { Observer } from '../../activities/observer';
import type { RunEvent } from '../../model/events';
import { OperatorError, TransientError } from '../../model/errors';
import { logProgramsTo } from '../../programs/log';
import { runProgram } from '../../programs/run';
import type { CycleReport } from '../../replication/contract';
import { freePort } from '../../stack/ports';
import { processLog } from '../../stack/process-log';
import { createWorkerMetrics, type WorkerMetrics } from '../../worker/metrics';
import { serveMetrics } from '../../worker/metrics-server';
import { observe } from '../../worker/observe';
import { fieldsOf } from '../../worker/runtime';
import { makeOrder } from '../support/order';
import { badNames, readMetrics, valueOf } from '../support/prometheus';

const order = makeOrder();
const { tenantId, coreId, runId, procedure, server } = order;
const start = Date.parse('2026-03-01T03:00:00.000Z');

let lines: string[];
let metrics: WorkerMetrics;
let observer: Observer;
let now: number;

beforeEach(() => {
  lines = [];
  now = start;
  const log = processLog('worker', 'debug', { write: (line: string) => void lines.push(line) });
  metrics = createWorkerMetrics(() => now);
  observer = observe(metrics, log, () => now);
});
afterEach(() => logProgramsTo(undefined));

const logged = (): Record<string, unknown>[] => lines.map((line) => JSON.parse(line) as Record<string, unknown>);
const measured = async () => readMetrics(await metrics.registry.metrics());

async function attempt(step: string, effect: (input: EffectInput) => Promise<unknown>): Promise<unknown> {
  const { effects } = { effects: { applySignature: effect } };
  const activities = recorded<typeof effects>(effects, {
    sites: { recovery: new Map(), source: new Map() },
    evidence: { put: async (_owner, bytes) => ({ sha256: 'x', name: 'n', mediaType: 't', sizeBytes: bytes.length }) },
    secrets: () => Promise.reject(new Error('no secret is expected here')),
    worker: { kind: 'worker', id: 'worker-1', name: 'worker-1' },
    now: () => (now += 500),
    observer,
  });
  const context = { cancellationSignal: new AbortController().signal, heartbeat: () => undefined };
  const name = { tenantId, coreId, runId, step, item: 'disk0', attempt: 2, token: 7, undo: false };
  return asyncLocalStorage.run(context as unknown as Context, () =>
    activities.applySignature({ order, effect: name }).catch((error: unknown) => error),
  );
}

test('a failing step is found by run, step and attempt, with everything that was logged on its way', async () => {
  await attempt('apply-signature', async () => {
    await runProgram('sh', ['-c', 'exit 3', '--', 'https://me:hUnTeR2@host/x']);
  });
  const mine = logged().filter((line) => line['runId'] === runId && line['step'] === 'apply-signature');
  expect(mine.map(({ msg }) => msg)).toEqual(['attempt started', 'a program ended', 'attempt failed']);
  for (const line of mine) {
    expect(line).toMatchObject({
      item: 'disk0',
      attempt: 2,
      procedure,
      server: server.name,
      site: order.target.siteId,
    });
    expect(line['time']).toMatch(/^\d{4}-.*Z$/);
  }
  expect(mine[1]).toMatchObject({ level: 'debug', program: 'sh', exitCode: 3, reason: 'Exit code 3' });
  expect(mine[2]).toMatchObject({ level: 'warn', outcome: 'TransientError', activity: 'applySignature' });
  expect(lines.join('')).not.toContain('hUnTeR2');
});

test('what a guest is told, tokens and passwords are not printed, and foreign text cannot leave its line', async () => {
  await runProgram('true', ['--connect', 'qemu:///system', 'qemu-agent-command', 'app01', '{"path":"pRoBe-argument"}']);
  const hostile = 'host\u001b[2J\n{"level":"info","msg":"forged"}\u2028<script>';
  await attempt('apply-signature', () =>
    Promise.reject(
      new OperatorError({ what: hostile, found: 'postgres://muster:pW123456@db/muster, Bearer mst_0123456789abcdef' }),
    ),
  );
  const text = lines.join('');
  for (const secret of ['pRoBe-argument', 'pW123456', 'mst_0123456789abcdef']) expect(text).not.toContain(secret);
  expect(lines.every((line) => line.indexOf('\n') === line.length - 1)).toBe(true);
  expect(text).not.toContain('\u001b');
  expect(logged().map(({ msg }) => msg)).not.toContain('forged');
});

test('attempts are counted by step and outcome, and measured; a step of another version is not a label of its own', async () => {
  await attempt('apply-signature', async () => 'done');
  await attempt('apply-signature', () => Promise.reject(new TransientError('away')));
  await attempt('a-step-of-tomorrow', async () => 'done');
  const families = await measured();
  const labels = { procedure, step: 'apply-signature', undo: 'false' };
  expect(valueOf(families, 'muster_attempts_total', { ...labels, outcome: 'succeeded' })).toBe(1);
  expect(valueOf(families, 'muster_attempts_total', { ...labels, outcome: 'TransientError' })).toBe(1);
  expect(valueOf(families, 'muster_attempts_total', { procedure, step: 'other' })).toBe(1);
  expect(valueOf(families, 'muster_attempt_duration_seconds_count', labels)).toBe(2);
  expect(valueOf(families, 'muster_attempts_running', { procedure, step: 'apply-signature' })).toBe(0);
  expect(badNames(families)).toEqual([]);
});

test('the lag of a server grows until its next point, and is gone when the session leaves this worker', async () => {
  const lag = async (): Promise<number | undefined> =>
    valueOf(await measured(), 'muster_replication_lag_seconds', { server: server.name });
  observer.replicaSeen(server, [{ takenAt: new Date(start).toISOString() }]);
  now = start + 12_000;
  expect(await lag()).toBe(12);
  const takenAt = new Date(start + 11_000).toISOString();
  const report = { manifest: { pointId: 'p', takenAt }, copiedBytes: 4096, durationMs: 250, merged: null };
  observer.cycleEnded(server, report as unknown as CycleReport);
  expect(await lag()).toBe(1);
  observer.cycleFailed(server, new TransientError('the source is away'));
  const families = await measured();
  expect(valueOf(families, 'muster_replication_copied_bytes_total', { server: server.name })).toBe(4096);
  expect(valueOf(families, 'muster_replication_cycles_total', { outcome: 'point' })).toBe(1);
  expect(valueOf(families, 'muster_replication_cycles_total', { outcome: 'TransientError' })).toBe(1);
  observer.sessionLeft(server);
  expect(await lag()).toBeUndefined();
});

test('bytes that were prepared ahead and bytes that runs copied are counted by server', async () => {
  const hardwareId = 'kvm-virtio';
  const archive = (sizeBytes: number) => ({ name: 'a', sizeBytes, sha256: 'x' });
  const preparation = { hardwareId, record: null, files: [archive(1000), archive(24)], folder: '/f', watch: [] };
  observer.inoculationPrepared(server, [
    { hardwareId, prepared: preparation },
    { hardwareId: 'vmware-pvscsi', stillFits: true, watch: [] },
    { hardwareId: 'pc-ahci', because: 'its initramfs must be rebuilt' },
  ]);
  observer.inoculationPrepared(server, [{ hardwareId, prepared: { ...preparation, files: [archive(6)] } }]);
  observer.disksCopied(order, 4096);
  const families = await measured();
  const labels = { server: server.name, site: server.recoverySiteId };
  expect(valueOf(families, 'muster_prepared_bytes_total', labels)).toBe(1030);
  for (const [outcome, count] of Object.entries({ prepared: 2, 'still-fits': 1, 'not-prepared': 1 }))
    expect(valueOf(families, 'muster_preparations_total', { ...labels, outcome })).toBe(count);
  expect(valueOf(families, 'muster_run_copied_bytes_total', { server: server.name, site: order.target.siteId })).toBe(
    4096,
  );
  expect(badNames(families)).toEqual([]);
});

test('runs, steps and decisions are counted as the journal gets them, with the age of what was flushed', async () => {
  const event = (kind: string, step: string | null, data: object): RunEvent =>
    ({
      kind,
      at: new Date(start).toISOString(),
      by: order.requestedBy,
      step,
      item: null,
      attempt: null,
      data,
    }) as RunEvent;
  now = start + 1_500;
  observer.journalFlushed({
    procedure,
    events: [
      event('run-opened', null, { order }),
      event('parked', 'preflight', {}),
      event('decided', 'preflight', { decision: 'skip' }),
      event('step-skipped', 'preflight', {}),
      event('run-closed', null, { state: 'succeeded-with-exceptions' }),
    ],
  });
  observer.journalFailed(new Error('Postgres is away'));
  const families = await measured();
  expect(valueOf(families, 'muster_runs_total', { procedure, state: 'running' })).toBe(1);
  expect(valueOf(families, 'muster_runs_total', { procedure, state: 'succeeded-with-exceptions' })).toBe(1);
  expect(valueOf(families, 'muster_steps_total', { step: 'preflight', state: 'stuck' })).toBe(1);
  expect(valueOf(families, 'muster_steps_total', { step: 'preflight', state: 'skipped' })).toBe(1);
  expect(valueOf(families, 'muster_decisions_total', { decision: 'skip' })).toBe(1);
  expect(valueOf(families, 'muster_journal_events_total')).toBe(5);
  expect(valueOf(families, 'muster_journal_flush_lag_seconds_sum')).toBe(1.5);
  expect(valueOf(families, 'muster_journal_failures_total')).toBe(1);
});

test('the page is served at /metrics of its address and nowhere else', async () => {
  const served = await serveMetrics(metrics.registry, `127.0.0.1:${await freePort()}`);
  try {
    const page = await fetch(`http://${served.address}/metrics`);
    expect(page.headers.get('content-type')).toContain('version=0.0.4');
    expect(readMetrics(await page.text()).map(({ name }) => name)).toContain('muster_attempts_total');
    expect((await fetch(`http://${served.address}/`)).status).toBe(404);
    await expect(serveMetrics(metrics.registry, served.address)).rejects.toThrow('EADDRINUSE');
  } finally {
    await served.stop();
  }
});

test("Temporal's run id and Muster's are told apart on lines of workflows", () => {
  const line = fieldsOf({ workflowId: 'recovery/main/1', runId: 'temporal-1', musterRunId: runId, historySize: 12n });
  expect(line).toEqual({ workflowId: 'recovery/main/1', temporalRunId: 'temporal-1', runId, historySize: 12 });
});

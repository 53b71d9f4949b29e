/**
 * What the worker counts, in Prometheus' words. Every label has a closed set of values (procedures, steps, outcomes,
 * sites) or one for each server of the inventory. docs/operating.md lists them from here.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** From a check to a copy of some terabytes. */
const effectSeconds = [0.05, 0.2, 1, 5, 15, 60, 300, 1_800, 7_200, 28_800];
const cycleSeconds = [0.1, 0.25, 0.5, 1, 2, 5, 15, 60, 300, 1_800];
const waitSeconds = [0.01, 0.1, 0.5, 1, 5, 20];
const lagSeconds = [0.1, 0.5, 1, 2, 5, 15, 60, 600, 3_600];

/** All metrics of a worker in a registry of their own. `now`: UTC milliseconds. */
export function createWorkerMetrics(now: () => number) {
  const registry = new Registry();
  const registers = [registry];
  const build = new Gauge({
    registers,
    name: 'muster_build_info',
    help: 'Always 1; the version is a label',
    labelNames: ['version', 'node'],
  });
  return {
    registry,
    build,
    ...attemptMetrics(registers),
    ...journalMetrics(registers),
    ...replicationMetrics(registers, now),
  };
}

export type WorkerMetrics = ReturnType<typeof createWorkerMetrics>;

/** Node's own metrics too: memory, event loop, open files. Once in a process. */
export function withProcessMetrics(metrics: WorkerMetrics): WorkerMetrics {
  collectDefaultMetrics({ register: metrics.registry });
  return metrics;
}

function attemptMetrics(registers: Registry[]) {
  const labelNames = ['procedure', 'step'] as const;
  return {
    attempts: new Counter({
      registers,
      name: 'muster_attempts_total',
      help: 'Attempts of effects that ended, by how: succeeded, a family of errors, Cancelled, WorkerShutdown',
      labelNames: [...labelNames, 'outcome', 'undo'],
    }),
    attemptSeconds: new Histogram({
      registers,
      name: 'muster_attempt_duration_seconds',
      help: 'How long attempts took, by step',
      labelNames: [...labelNames, 'undo'],
      buckets: effectSeconds,
    }),
    attemptsRunning: new Gauge({
      registers,
      name: 'muster_attempts_running',
      help: 'Attempts that run on this worker now',
      labelNames,
    }),
    leaseSeconds: new Histogram({
      registers,
      name: 'muster_lease_wait_seconds',
      help: 'How long effects waited for the lease on the replica or machine that they change',
      labelNames: ['resource'],
      buckets: waitSeconds,
    }),
    evidenceBytes: new Counter({
      registers,
      name: 'muster_evidence_bytes_total',
      help: 'Bytes of evidence that attempts gave',
    }),
    runCopiedBytes: new Counter({
      registers,
      name: 'muster_run_copied_bytes_total',
      help: "Bytes of a server's disks that runs copied (copy-and-recover)",
      labelNames: ['server', 'site'],
    }),
  };
}

function journalMetrics(registers: Registry[]) {
  return {
    runs: new Counter({
      registers,
      name: 'muster_runs_total',
      help: 'Runs whose opening (state running) or end this worker wrote to the journal',
      labelNames: ['procedure', 'state'],
    }),
    steps: new Counter({
      registers,
      name: 'muster_steps_total',
      help: 'Steps and items that came to a state, as this worker wrote it to the journal',
      labelNames: ['procedure', 'step', 'state'],
    }),
    decisions: new Counter({
      registers,
      name: 'muster_decisions_total',
      help: 'What people decided, as this worker wrote it to the journal',
      labelNames: ['procedure', 'decision'],
    }),
    journalEvents: new Counter({
      registers,
      name: 'muster_journal_events_total',
      help: 'Events written to the journal',
    }),
    journalFailures: new Counter({
      registers,
      name: 'muster_journal_failures_total',
      help: 'Flushes of the journal that failed; each is tried again until it is stored',
    }),
    journalLag: new Histogram({
      registers,
      name: 'muster_journal_flush_lag_seconds',
      help: 'Age of the oldest event of a flush when it was stored',
      buckets: lagSeconds,
    }),
  };
}

function replicationMetrics(registers: Registry[], now: () => number) {
  /** Server name -> its latest recovery point. */
  const latestPoints = new Map<string, { readonly site: string; readonly atMs: number }>();
  const labelNames = ['server', 'site'] as const;
  return {
    latestPoints,
    lag: new Gauge({
      registers,
      name: 'muster_replication_lag_seconds',
      help: "Age of a server's latest recovery point, while this worker replicates it",
      labelNames,
      collect() {
        this.reset();
        for (const [server, { site, atMs }] of latestPoints) {
          this.set({ server, site }, Math.max(0, now() - atMs) / 1000);
        }
      },
    }),
    points: new Gauge({
      registers,
      name: 'muster_recovery_points',
      help: "A replica's recovery points, while this worker replicates it",
      labelNames,
    }),
    cycles: new Counter({
      registers,
      name: 'muster_replication_cycles_total',
      help: 'Cycles of replication that ended, by how: point, or the family of the error',
      labelNames: [...labelNames, 'outcome'],
    }),
    cycleSeconds: new Histogram({
      registers,
      name: 'muster_replication_cycle_duration_seconds',
      help: 'How long cycles took that gave a recovery point',
      labelNames: ['site'],
      buckets: cycleSeconds,
    }),
    copiedBytes: new Counter({
      registers,
      name: 'muster_replication_copied_bytes_total',
      help: 'Bytes copied from the source',
      labelNames,
    }),
    ...preparationMetrics(registers),
  };
}

function preparationMetrics(registers: Registry[]) {
  const labelNames = ['server', 'site'] as const;
  return {
    preparations: new Counter({
      registers,
      name: 'muster_preparations_total',
      help: 'Inoculations worked out ahead or looked at, one for each hardware profile, by how: prepared, still-fits, not-prepared',
      labelNames: [...labelNames, 'outcome'],
    }),
    preparedBytes: new Counter({
      registers,
      name: 'muster_prepared_bytes_total',
      help: 'Bytes of inoculations that were worked out ahead and kept',
      labelNames,
    }),
  };
}

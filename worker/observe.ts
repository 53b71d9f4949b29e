/** How attempts, cycles and flushes end, as metrics and as lines of the worker's log. */
import type { Logger } from 'pino';
import type { Observer } from '../activities/observer';
import type { Preparation, PrepareResult } from '../disks/contract';
import type { RunEvent } from '../model/events';
import { isMusterError } from '../model/errors';
import type { StepState } from '../model/steps';
import { procedures } from '../workflows/procedures';
import type { WorkerMetrics } from './metrics';

/** An order may come from another version; its words must not become labels without end. */
const known = new Set(
  Object.values(procedures).flatMap(({ name, steps }) => [name, ...steps.map((step) => `${name}/${step.id}`)]),
);
const longestMessage = 2_000;

export function observe(
  metrics: WorkerMetrics,
  log: Pick<Logger, 'debug' | 'info' | 'warn'>,
  now: () => number,
): Observer {
  return {
    ...observeAttempts(metrics, log),
    ...observeReplication(metrics, log),
    ...observeJournal(metrics, log, now),
  };
}

type Attempts = 'attemptStarted' | 'attemptEnded' | 'leaseHad' | 'evidenceKept' | 'disksCopied';

function observeAttempts(
  metrics: WorkerMetrics,
  log: Pick<Logger, 'debug' | 'info' | 'warn'>,
): Pick<Observer, Attempts> {
  return {
    attemptStarted({ effect, order, activity }) {
      metrics.attemptsRunning.inc(place(order.procedure, effect.step));
      log.debug({ activity }, 'attempt started');
    },
    attemptEnded({ effect, order, activity, outcome, durationMs, message }) {
      const labels = place(order.procedure, effect.step);
      const undo = String(effect.undo);
      metrics.attemptsRunning.dec(labels);
      metrics.attempts.inc({ ...labels, outcome, undo });
      metrics.attemptSeconds.observe({ ...labels, undo }, durationMs / 1000);
      if (outcome === 'succeeded') log.info({ activity, outcome, durationMs }, 'attempt succeeded');
      else log.warn({ activity, outcome, durationMs, error: message?.slice(0, longestMessage) }, 'attempt failed');
    },
    leaseHad(resource, waitedMs) {
      metrics.leaseSeconds.observe({ resource }, waitedMs / 1000);
    },
    evidenceKept(sizeBytes) {
      metrics.evidenceBytes.inc(sizeBytes);
    },
    disksCopied({ server, target }, copiedBytes) {
      metrics.runCopiedBytes.inc({ server: server.name, site: target.siteId }, copiedBytes);
    },
  };
}

type Replication = 'replicaSeen' | 'cycleEnded' | 'cycleFailed' | 'inoculationPrepared' | 'sessionLeft';

function observeReplication(metrics: WorkerMetrics, log: Pick<Logger, 'debug' | 'warn'>): Pick<Observer, Replication> {
  return {
    replicaSeen({ name: server, recoverySiteId: site }, points) {
      metrics.points.set({ server, site }, points.length);
      const latest = points.at(-1);
      if (latest !== undefined) metrics.latestPoints.set(server, { site, atMs: Date.parse(latest.takenAt) });
    },
    cycleEnded({ name: server, recoverySiteId: site }, { manifest, copiedBytes, durationMs, merged }) {
      metrics.latestPoints.set(server, { site, atMs: Date.parse(manifest.takenAt) });
      metrics.cycles.inc({ server, site, outcome: 'point' });
      metrics.cycleSeconds.observe({ site }, durationMs / 1000);
      metrics.copiedBytes.inc({ server, site }, copiedBytes);
      log.debug({ pointId: manifest.pointId, copiedBytes, durationMs, merged }, 'a recovery point was taken');
    },
    cycleFailed({ name: server, recoverySiteId: site }, error) {
      const outcome = isMusterError(error) ? error.family : 'TransientError';
      metrics.cycles.inc({ server, site, outcome });
      log.warn({ outcome, error: messageOf(error) }, 'no recovery point was taken');
    },
    inoculationPrepared({ name: server, recoverySiteId: site }, results) {
      for (const result of results) {
        metrics.preparations.inc({ server, site, outcome: outcomeOf(result) });
        if ('prepared' in result) metrics.preparedBytes.inc({ server, site }, bytesOf(result.prepared));
      }
    },
    sessionLeft({ name: server, recoverySiteId: site }) {
      metrics.latestPoints.delete(server);
      metrics.points.remove({ server, site });
    },
  };
}

const outcomeOf = (result: PrepareResult): string =>
  'prepared' in result ? 'prepared' : 'stillFits' in result ? 'still-fits' : 'not-prepared';

const bytesOf = ({ files }: Preparation): number => files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

type Journal = 'journalFlushed' | 'journalFailed';

function observeJournal(metrics: WorkerMetrics, log: Pick<Logger, 'warn'>, now: () => number): Pick<Observer, Journal> {
  return {
    journalFlushed({ procedure, events }) {
      const named = known.has(procedure) ? procedure : 'other';
      for (const event of events) countEvent(metrics, named, event);
      metrics.journalEvents.inc(events.length);
      const oldest = events[0];
      if (oldest !== undefined) metrics.journalLag.observe(Math.max(0, now() - Date.parse(oldest.at)) / 1000);
    },
    journalFailed(error) {
      metrics.journalFailures.inc();
      log.warn({ error: messageOf(error) }, 'the journal was not written; it is tried again');
    },
  };
}

/** Kinds of events that bring a step or an item to a state. */
const stateOf: Partial<Record<RunEvent['kind'], StepState>> = {
  'step-done': 'done',
  'step-not-applicable': 'not-applicable',
  'step-skipped': 'skipped',
  'step-undone': 'undone',
  'gate-opened': 'waiting',
  parked: 'stuck',
};

function countEvent(metrics: WorkerMetrics, procedure: string, event: RunEvent): void {
  const state = stateOf[event.kind];
  if (state !== undefined && event.step !== null) metrics.steps.inc({ ...place(procedure, event.step), state });
  if (event.kind === 'run-opened') metrics.runs.inc({ procedure, state: 'running' });
  if (event.kind === 'run-closed') metrics.runs.inc({ procedure, state: event.data.state });
  if (event.kind === 'decided') metrics.decisions.inc({ procedure, decision: event.data.decision });
}

function place(procedure: string, step: string): { procedure: string; step: string } {
  return known.has(`${procedure}/${step}`)
    ? { procedure, step }
    : { procedure: known.has(procedure) ? procedure : 'other', step: 'other' };
}

const messageOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).slice(0, longestMessage);

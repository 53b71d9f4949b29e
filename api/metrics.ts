/**
 * What the API counts and what it knows of the whole installation, in Prometheus' words. Labels have closed sets of
 * values: routes as they are declared, states, steps, queues. docs/operating.md lists them from here.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { isClosedRun, runStates } from '../model/steps';
import type { OpenRuns } from '../store/contract';
import type { ApiDeps } from './deps';
import { checkHealth } from './health';
import { within } from './within';

const requestSeconds = [0.005, 0.02, 0.1, 0.5, 1, 5, 30];
const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'];

/** All metrics of one API in a registry of their own. */
export function createApiMetrics(version: string) {
  const registry = new Registry();
  const registers = [registry];
  const metrics = {
    registry,
    build: new Gauge({
      registers,
      name: 'muster_build_info',
      help: 'Always 1; the version is a label',
      labelNames: ['version', 'node'],
    }),
    requests: new Counter({
      registers,
      name: 'muster_http_requests_total',
      help: 'Requests answered, by route and status',
      labelNames: ['method', 'route', 'status'],
    }),
    requestSeconds: new Histogram({
      registers,
      name: 'muster_http_request_duration_seconds',
      help: 'How long requests took to their answer; of an event stream, to its beginning',
      labelNames: ['method', 'route'],
      buckets: requestSeconds,
    }),
    up: new Gauge({
      registers,
      name: 'muster_up',
      help: 'Whether a part answers, or a queue has a worker that asks for work: 1 or 0, asked at each scrape',
      labelNames: ['part'],
    }),
    runs: new Gauge({
      registers,
      name: 'muster_runs',
      help: 'Runs that are not closed, by state; absent while Postgres does not answer',
      labelNames: ['state'],
    }),
    stuck: new Gauge({
      registers,
      name: 'muster_stuck_runs',
      help: 'Runs that are stuck now, by the step that waits for a decision',
      labelNames: ['procedure', 'step'],
    }),
    stuckSeconds: new Gauge({
      registers,
      name: 'muster_stuck_seconds',
      help: 'How long the longest of them has been stuck',
      labelNames: ['procedure', 'step'],
    }),
    notifications: new Gauge({
      registers,
      name: 'muster_notifications',
      help: 'Notifications that wait to be sent (due), and those given up in the last 24 hours (failed)',
      labelNames: ['state'],
    }),
    siteAbsentSeconds: new Gauge({
      registers,
      name: 'muster_site_without_worker_seconds',
      help: 'How long no worker has asked for work at a site; 0: one does',
      labelNames: ['site'],
    }),
  };
  metrics.build.set({ version, node: process.version }, 1);
  return metrics;
}

export type ApiMetrics = ReturnType<typeof createApiMetrics>;

/** @param route as it was declared; anything else is counted as `none` */
export function countRequest(
  metrics: ApiMetrics,
  request: { readonly method: string; readonly route: string; readonly status: number; readonly durationMs: number },
): void {
  const method = methods.includes(request.method) ? request.method : 'other';
  const route = request.route.includes('*') || request.route === '' ? 'none' : request.route;
  metrics.requests.inc({ method, route, status: String(request.status) });
  metrics.requestSeconds.observe({ method, route }, request.durationMs / 1000);
}

/** Asks what is true now and returns the page. What does not answer is missing on it, and `muster_up` says so. */
export async function scrape(metrics: ApiMetrics, deps: ApiDeps): Promise<string> {
  const { store, config, clock } = deps;
  const [health, open, undelivered, sites] = await Promise.all([
    checkHealth(deps),
    within(config.storeDeadlineMs, store.runs.open()).catch(() => undefined),
    within(config.storeDeadlineMs, store.notifications.undelivered()).catch(() => undefined),
    within(config.storeDeadlineMs, store.sites.all()).catch(() => undefined),
  ]);
  metrics.up.reset();
  for (const { name, ok } of health.parts) metrics.up.set({ part: name }, ok ? 1 : 0);
  for (const gauge of [metrics.runs, metrics.stuck, metrics.stuckSeconds]) gauge.reset();
  if (open !== undefined) setRuns(metrics, open, clock().getTime());
  for (const gauge of [metrics.notifications, metrics.siteAbsentSeconds]) gauge.reset();
  if (undelivered !== undefined) {
    for (const state of ['due', 'failed'] as const) metrics.notifications.set({ state }, undelivered[state]);
  }
  for (const { siteId, absentSince } of sites ?? []) {
    if (!config.siteIds.includes(siteId)) continue;
    const forMs = absentSince === null ? 0 : Math.max(1, clock().getTime() - Date.parse(absentSince));
    metrics.siteAbsentSeconds.set({ site: siteId }, forMs / 1000);
  }
  return metrics.registry.metrics();
}

const openStates = runStates.filter((state) => !isClosedRun(state));

function setRuns(metrics: ApiMetrics, open: readonly OpenRuns[], nowMs: number): void {
  for (const state of openStates) metrics.runs.set({ state }, 0);
  for (const { state, procedure, currentStep, count, stuckSince } of open) {
    metrics.runs.inc({ state }, count);
    if (state !== 'stuck' || currentStep === null) continue;
    const labels = { procedure, step: currentStep };
    metrics.stuck.inc(labels, count);
    if (stuckSince !== null) metrics.stuckSeconds.set(labels, Math.max(0, nowMs - Date.parse(stuckSince)) / 1000);
  }
}

/** The worker process: start, say that it polls, stop cleanly on a signal. */
import { hostname } from 'node:os';
import { NativeConnection } from '@temporalio/worker';
import type { Logger } from 'pino';
import type { Configuration } from '../config/configuration';
import { readPostgresUrl } from '../config/postgres-url';
import { dataFolderAt } from '../stack/data-folder';
import { processLog } from '../stack/process-log';
import { version } from '../stack/version';
import { statusEveryMs, writeWorkerStatus, type WorkerStatus } from '../stack/worker-status';
import { workflowBundle } from './bundle';
import { createWorkers } from './create-workers';
import { createWorkerMetrics, withProcessMetrics } from './metrics';
import { serveMetrics, type MetricsServer } from './metrics-server';
import { migrateWhenPossible } from './migrate-later';
import { observe } from './observe';
import { installRuntime, temporalLogger } from './runtime';
import { createServices, type Services } from './services';

/**
 * Runs the worker until SIGTERM or SIGINT. Running steps get the configured grace time; what has not ended then is
 * given up and tried again by another worker, without cost to its budget. `dress` changes what the process works with:
 * tests put faults between it and its sites.
 *
 * @throws when Temporal does not answer at the start, or a worker fails for good: the process is to be started again.
 */
export async function runWorkerProcess(
  configuration: Configuration,
  dress: (services: Services) => Services = (services) => services,
): Promise<void> {
  const log = processLog('worker', configuration.logLevel);
  installRuntime(log, configuration.metrics.temporalAddress);
  const stop = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    log.info({ signal }, 'stopping');
    stop.abort();
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, onSignal);
  const identity = `${hostname()}:${process.pid}`;
  const metrics = withProcessMetrics(createWorkerMetrics(Date.now));
  metrics.build.set({ version, node: process.version }, 1);
  const observer = observe(metrics, log, Date.now);
  const services = dress(createServices(configuration, { id: identity, log, observer }));
  const served = await offerMetrics(metrics.registry, configuration.metrics.workerAddress, log);
  const migrating = migrateWhenPossible(readPostgresUrl(configuration), log, stop.signal);
  const connection = await NativeConnection.connect({ address: configuration.temporal.address });
  try {
    await work(configuration, { connection, services, identity, log, stop: stop.signal });
  } finally {
    stop.abort();
    await migrating;
    await connection.close();
    await services.close();
    await served?.stop();
    log.info('stopped');
  }
}

/** A worker that cannot be measured works all the same. */
async function offerMetrics(
  registry: Parameters<typeof serveMetrics>[0],
  address: string | null,
  log: Logger,
): Promise<MetricsServer | undefined> {
  if (address === null) return undefined;
  return serveMetrics(registry, address).catch((error: Error) => {
    log.error(
      { address, error: error.message },
      'metrics are not served: set MUSTER_METRICS_WORKER_ADDRESS to a free port',
    );
    return undefined;
  });
}

async function work(
  configuration: Configuration,
  process_: {
    connection: NativeConnection;
    services: Services;
    identity: string;
    log: Logger;
    stop: AbortSignal;
  },
): Promise<void> {
  const { log, stop, ...parts } = process_;
  const folder = dataFolderAt(configuration.dataFolder);
  const workflows = await workflowBundle(folder.workflowBundles, temporalLogger(log));
  const workers = await createWorkers({ ...parts, configuration, workflows });
  const queues = workers.map(({ queue }) => queue);
  const shutdown = (): void => {
    for (const { worker } of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  const tell = (state: WorkerStatus['state']): Promise<void> =>
    writeWorkerStatus(folder.workerStatusFile, { pid: process.pid, state, queues, at: new Date().toISOString() }).catch(
      (error: Error) => log.warn({ error: error.message }, 'the status file was not written'),
    );
  // One that fails takes the others with it: half a worker would leave queues without anybody, unseen.
  const running = Promise.allSettled(workers.map(({ worker }) => worker.run().finally(shutdown)));
  if (stop.aborted) shutdown();
  stop.addEventListener('abort', shutdown, { once: true });
  const polling = (): boolean => workers.every(({ worker }) => worker.getState() === 'RUNNING');
  const pulse = setInterval(() => void tell(polling() ? 'polling' : 'stopping'), statusEveryMs);
  try {
    await tell(polling() ? 'polling' : 'starting');
    log.info({ queues, identity: parts.identity }, 'polling');
    const failed = (await running).find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  } finally {
    clearInterval(pulse);
    await tell('stopping');
  }
}

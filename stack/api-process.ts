/** The API process: construction of its dependencies, start, clean stop on a signal. */
import { connectTemporal } from '../api/temporal';
import { defaultApiConfig, type ApiDeps } from '../api/deps';
import { knownServers } from '../api/known-servers';
import { startObjectiveWatch } from '../api/objective-watch';
import { startReadiness } from '../api/readiness/loop';
import { serveApi } from '../api/server';
import type { Configuration } from '../config/configuration';
import { factsOf } from '../config/machines';
import { readPostgresUrl } from '../config/postgres-url';
import { openEvidenceStore } from '../record/evidence';
import { openStore } from '../store/open-store';
import { lookAtCertificates } from './certificates';
import { startNotifying } from './notifying';
import { processLog } from './process-log';
import { version } from './version';

/**
 * Serves until SIGTERM or SIGINT. Comes up, and says what is missing, while Temporal or Postgres are down. `dress` changes what
 * the process works with, as that of a worker does (worker/main.ts): tests prove boots sooner.
 *
 * @throws the system's error when the port cannot be listened on
 */
export async function runApiProcess(
  configuration: Configuration,
  dress: (deps: ApiDeps) => ApiDeps = (deps) => deps,
): Promise<void> {
  const { tenantId, coreId, evidenceFolder, temporal, sites, api, readiness } = configuration;
  const log = processLog('api', configuration.logLevel);
  const asked = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve);
  });
  const siteIds = sites.map((site) => site.id);
  const physicalMachines = Object.fromEntries(sites.map((site) => [site.id, site.machines.map(factsOf)]));
  const webhooks = configuration.notifications.webhooks.map(({ name }) => name);
  const store = openStore(readPostgresUrl(configuration), { tenantId, coreId });
  const gateway = connectTemporal({ address: temporal.address, namespace: temporal.namespace });
  const notifying = startNotifying(configuration, store, log);
  try {
    const deps = dress({
      store,
      temporal: gateway,
      evidence: openEvidenceStore({ folder: evidenceFolder, tenantId, coreId }),
      config: { ...defaultApiConfig, tenantId, coreId, version, siteIds, physicalMachines, webhooks, readiness },
      certificates: () => lookAtCertificates(configuration),
      clock: () => new Date(),
      log,
      messenger: notifying.messenger,
    });
    const served = await serveApi(deps, { host: api.host, port: api.port });
    log.info({ url: served.url, version }, 'serving');
    const asking = startReadiness(deps, knownServers(deps));
    const watching = startObjectiveWatch(deps);
    log.info({ signal: await asked }, 'stopping');
    await served.stop();
    await Promise.all([asking.stop(), watching.stop()]);
  } finally {
    await notifying.stop();
    await gateway.close();
    await store.close();
    log.info('stopped');
  }
}

/** The composition root of the worker process: the only place where its dependencies are constructed. */
import type { Logger } from 'pino';
import type { Configuration } from '../config/configuration';
import { readPostgresUrl } from '../config/postgres-url';
import { createEvidenceKeeper } from '../activities/evidence';
import type { Observer } from '../activities/observer';
import { createSecrets } from '../activities/secrets';
import type { ScheduleDeps } from '../activities/scheduled-rehearsals';
import type { ActivityDeps } from '../activities/site';
import { takeSecretVariables } from '../programs/environment';
import { failedHostChecks } from '../stack/doctor/host';
import { openStore } from '../store/open-store';
import type { Store } from '../store/contract';
import { openSites } from './sites';

export interface Services {
  readonly store: Store;
  readonly activities: ActivityDeps;
  readonly schedules: ScheduleDeps;
  close(): Promise<void>;
}

/** Constructs everything without asking anything: Postgres, the source and the hypervisor may all be down (design: law 5). */
export function createServices(
  configuration: Configuration,
  worker: { id: string; log: Logger; observer?: Observer },
): Services {
  const store = openStore(readPostgresUrl(configuration), {
    tenantId: configuration.tenantId,
    coreId: configuration.coreId,
  });
  const evidence = createEvidenceKeeper({ folder: configuration.evidenceFolder }, (name, error) =>
    worker.log.error({ name, error: error.message }, 'evidence was not kept'),
  );
  return {
    store,
    schedules: {
      store,
      physicalMachines: Object.fromEntries(configuration.sites.map((site) => [site.id, site.machines])),
      now: () => Date.now(),
    },
    activities: {
      sites: openSites(configuration),
      evidence,
      secrets: createSecrets({ folder: configuration.secretsFolder, environment: takeSecretVariables() }),
      scriptsFolder: configuration.scriptsFolder ?? undefined,
      worker: { kind: 'worker', id: worker.id, name: worker.id },
      hostChecks: () => failedHostChecks(configuration),
      now: () => Date.now(),
      ...(worker.observer === undefined ? {} : { observer: worker.observer }),
    },
    close: () => store.close(),
  };
}

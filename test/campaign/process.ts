/**
 * The stack's own `worker` and `api` processes, started as `muster up` starts them; the worker's sites obey fault rules,
 * which can also kill it in the middle of a call.
 */
import type { ApiDeps } from '../../api/deps';
import { loadConfiguration } from '../../config/load';
import type { Configuration } from '../../config/configuration';
import { withFaults } from '../../platforms/faults';
import { runApiProcess } from '../../stack/api-process';
import { runWorkerProcess } from '../../worker/main';
import type { Services } from '../../worker/services';
import { faultsFile } from './sites';

function withFaultySites(services: Services, configuration: Configuration): Services {
  const { recovery, source } = services.activities.sites;
  const faulty = [...recovery].map(([id, site]) => {
    const file = faultsFile(configuration.sites.find((one) => one.id === id)!.folder);
    const { platform, replicas, disks } = site;
    const dressed = {
      platform: withFaults(platform, file),
      replicas: withFaults(replicas, file),
      disks: withFaults(disks, file),
    };
    return [id, { ...site, ...dressed }] as const;
  });
  return { ...services, activities: { ...services.activities, sites: { source, recovery: new Map(faulty) } } };
}

const quickProof = { stableForMs: 50, heartbeatTimeoutMs: 20_000 };

/** A runbook cannot say how long a boot has to be stable; the orders of single recoveries say it themselves (person.ts). */
const withQuickProof = (deps: ApiDeps): ApiDeps => ({ ...deps, config: { ...deps.config, planProof: quickProof } });

async function main(name: string | undefined): Promise<void> {
  const configuration = loadConfiguration();
  if (name === 'api') await runApiProcess(configuration, withQuickProof);
  else await runWorkerProcess(configuration, (services) => withFaultySites(services, configuration));
}

void main(process.argv[2]);

/**
 * The workers of a simulated world: in the test's own process, or, when this file is run as a program, in a process that
 * a test can kill. Its settings come as JSON in WORLD.
 */
import { join } from 'node:path';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { createActivities } from '../../activities';
import { createEvidenceKeeper } from '../../activities/evidence';
import { createJournalActivities } from '../../activities/journal';
import { createSecrets } from '../../activities/secrets';
import type { ActivityDeps } from '../../activities/site';
import type { Platform } from '../../platforms/contract';
import { withFaults } from '../../platforms/faults';
import { openSimulatedSite } from '../../platforms/simulated/open';
import type { SimulatedSite } from '../../platforms/simulated/open';
import type { Preparations } from '../../replication/prepared-contract';
import { openStore } from '../../store/open-store';
import { journalQueue, replicationQueue, siteQueue, workflowQueue } from '../../workflows/messages';
import { dataConverter } from '../../wire/payloads';
import { testWorkflowBundle } from './workflow-bundle';

export interface WorkerSettings {
  readonly folder: string;
  readonly namespace: string;
  readonly address: string;
  readonly databaseUrl: string;
}

export type SiteWrapper = (
  site: SimulatedSite,
  folder: string,
) => Pick<SimulatedSite, 'platform' | 'replicas' | 'disks'> & {
  readonly physical?: Platform;
  readonly preparations?: Preparations;
};

export const worldScope = { tenantId: 'default', coreId: 'core1' };
export const faultsFile = (folder: string): string => join(folder, 'faults.json');

export const faulty: SiteWrapper = ({ platform, replicas, disks }, folder) => ({
  platform: withFaults(platform, faultsFile(folder)),
  replicas: withFaults(replicas, faultsFile(folder)),
  disks: withFaults(disks, faultsFile(folder)),
});

export function openSites(folder: string): { production: SimulatedSite; recovery: SimulatedSite } {
  const production = openSimulatedSite({ folder: join(folder, 'production'), id: 'production' });
  const sources = { production: production.source };
  return { production, recovery: openSimulatedSite({ folder: join(folder, 'recovery'), id: 'recovery', sources }) };
}

let quiet = false;

export async function runWorkers(settings: WorkerSettings, wrap?: SiteWrapper): Promise<{ stop(): Promise<void> }> {
  if (!quiet) Runtime.install({ logger: new DefaultLogger('ERROR') });
  quiet = true;
  const { folder, namespace, address, databaseUrl } = settings;
  const store = openStore(databaseUrl, worldScope);
  const native = await NativeConnection.connect({ address });
  const common = {
    connection: native,
    dataConverter,
    namespace,
    maxHeartbeatThrottleInterval: '1s',
    stickyQueueScheduleToStartTimeout: '2s',
  } as const;
  const activities = createActivities(depsOf(folder, wrap));
  const workers = [
    await Worker.create({ ...common, taskQueue: workflowQueue, workflowBundle: await testWorkflowBundle() }),
    await Worker.create({ ...common, taskQueue: siteQueue('recovery'), activities }),
    await Worker.create({ ...common, taskQueue: replicationQueue('recovery'), activities }),
    await Worker.create({ ...common, taskQueue: journalQueue, activities: createJournalActivities(store) }),
  ];
  const running = workers.map((worker) => worker.run());
  return {
    async stop() {
      workers.forEach((worker) => worker.shutdown());
      await Promise.all(running);
      await store.close();
      await native.close();
    },
  };
}

function depsOf(folder: string, wrap: SiteWrapper | undefined): ActivityDeps {
  const { production, recovery } = openSites(folder);
  const { platform, replicas, preparations, disks } = { ...recovery, ...wrap?.(recovery, folder) };
  const { physical } = wrap?.(recovery, folder) ?? {};
  const parts = { platform, replicas, preparations, disks, ...(physical === undefined ? {} : { physical }) };
  const site = { id: 'recovery', ...parts, leaseFolder: join(folder, 'leases') };
  const source = { id: 'production', platform: production.platform, source: production.source };
  const id = `worker-${process.pid}`;
  return {
    sites: { recovery: new Map([[site.id, site]]), source: new Map([[source.id, source]]) },
    evidence: createEvidenceKeeper({ folder: join(folder, 'evidence') }, () => undefined),
    secrets: createSecrets({ folder: join(folder, 'secrets'), environment: {} }),
    worker: { kind: 'worker', id, name: id },
    scriptsFolder: join(folder, 'programs'),
    now: Date.now,
  };
}

async function runAsProgram(): Promise<void> {
  await runWorkers(JSON.parse(process.env['WORLD']!) as WorkerSettings, faulty);
  process.stdout.write('polling\n');
}

if (require.main === module) void runAsProgram();

/**
 * The site workers of an installation of two simulated sites, each of which recovers and is copied from, as a process that a test
 * can kill. Its settings come as JSON in TWO_SITES.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { createActivities } from '../../activities';
import type { RecoverySite, SourceSite } from '../../activities/site';
import { withFaults } from '../../platforms/faults';
import { openSimulatedSite, type SimulatedSite } from '../../platforms/simulated/open';
import { openEvidenceStore } from '../../record/evidence';
import { dataConverter } from '../../wire/payloads';
import { replicationQueue, siteQueue } from '../../workflows/messages';

export interface TwoSites {
  readonly folder: string;
  readonly namespace: string;
  readonly address: string;
}

export const siteNames = ['production', 'recovery'] as const;
export const siteFolder = (folder: string, id: (typeof siteNames)[number]): string => join(folder, 'sites', id);
export const faultsOf = (folder: string): string => join(folder, 'faults.json');

/** Starts the process, and resolves when it takes work. */
export async function startSiteWorker(settings: TwoSites): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['-r', 'tsx/cjs', __filename], {
    env: { ...process.env, TWO_SITES: JSON.stringify(settings) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`The worker ended with ${String(code)} before it polled`)));
  });
  return child;
}

/** As a power cut would. */
export async function killSiteWorker(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

function openBoth(folder: string): { recovery: Map<string, RecoverySite>; source: Map<string, SourceSite> } {
  const copies = siteNames.map((id) => [id, openSimulatedSite({ id, folder: siteFolder(folder, id) }).source] as const);
  const open = (id: (typeof siteNames)[number]): SimulatedSite => {
    const site = openSimulatedSite({ id, folder: siteFolder(folder, id), sources: Object.fromEntries(copies) });
    return { ...site, platform: withFaults(site.platform, faultsOf(folder)) };
  };
  const sites = siteNames.map((id) => ({ id, ...open(id), leaseFolder: join(siteFolder(folder, id), 'leases') }));
  return {
    recovery: new Map(sites.map((site) => [site.id, site])),
    source: new Map(sites.map((site) => [site.id, site])),
  };
}

async function runAsProgram(): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const { folder, namespace, address } = JSON.parse(process.env['TWO_SITES']!) as TwoSites;
  const connection = await NativeConnection.connect({ address });
  const evidence = openEvidenceStore({ folder: join(folder, 'evidence'), tenantId: 'main', coreId: 'main' });
  const id = `worker-${process.pid}`;
  const activities = createActivities({
    sites: openBoth(folder),
    evidence: { put: (_owner, bytes, name, mediaType) => evidence.put(bytes, name, mediaType) },
    secrets: () => Promise.reject(new Error('no secret is expected here')),
    worker: { kind: 'worker', id, name: id },
    now: Date.now,
  });
  const throttle = { maxHeartbeatThrottleInterval: '1s', defaultHeartbeatThrottleInterval: '1s' } as const;
  const queues = siteNames.flatMap((site) => [siteQueue(site), replicationQueue(site)]);
  const workers = await Promise.all(
    queues.map((taskQueue) =>
      Worker.create({ connection, namespace, dataConverter, taskQueue, activities, ...throttle }),
    ),
  );
  process.stdout.write('polling\n');
  await Promise.all(workers.map((worker) => worker.run()));
}

if (require.main === module) void runAsProgram();

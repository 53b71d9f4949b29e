/** Temporal's workers of one process: workflows, the journal, and one for each site. */
import { Worker, type NativeConnection, type WorkerOptions } from '@temporalio/worker';
import type { Configuration } from '../config/configuration';
import { createActivities } from '../activities';
import { createJournalActivities } from '../activities/journal';
import { createScheduleActivities } from '../activities/scheduled-rehearsals';
import { journalQueue, replicationQueue, siteQueue, stickyTimeoutMs, workflowQueue } from '../workflows/messages';
import { dataConverter } from '../wire/payloads';
import type { Services } from './services';

export interface QueueNames {
  readonly workflows: string;
  readonly journal: string;
  site(siteId: string): string;
  sessions(siteId: string): string;
}

export const standardQueues: QueueNames = {
  workflows: workflowQueue,
  journal: journalQueue,
  site: siteQueue,
  sessions: replicationQueue,
};

/** A stuck flush must not starve steps, nor steps the flush: each has slots of its own. */
const journalSlots = 20;
/**
 * One for each protected server of a site, and one for each that waits for its turn to boot; a slot in use costs a promise, and a
 * server without one is not replicated.
 */
const sessionSlots = 4_000;

/**
 * Creates the workers; `run` of each starts it. Sources of the settings:
 * - heartbeats at most a second apart bring an abort to a running step in 1 s instead of 3 (measured);
 * - a sticky queue gives up after 2 s (workflows/messages.ts says why, and what depends on it);
 * - the cache counts workflows, not bytes, and its default of 600 per GB can exhaust a small machine (sdk issue 2227).
 */
export async function createWorkers(options: {
  readonly connection: NativeConnection;
  readonly configuration: Pick<Configuration, 'temporal' | 'worker'>;
  readonly services: Services;
  readonly workflows: { readonly codePath: string };
  readonly identity: string;
  readonly queues?: QueueNames;
}): Promise<{ queue: string; worker: Worker }[]> {
  const { connection, configuration, services, workflows, identity } = options;
  const queues = options.queues ?? standardQueues;
  const common = {
    connection,
    dataConverter,
    namespace: configuration.temporal.namespace,
    identity,
    shutdownGraceTime: configuration.worker.graceMs,
    maxHeartbeatThrottleInterval: '1s',
    defaultHeartbeatThrottleInterval: '1s',
  } satisfies Partial<WorkerOptions>;
  const activities = createActivities(services.activities);
  const settings: WorkerOptions[] = [
    {
      ...common,
      taskQueue: queues.workflows,
      workflowBundle: workflows,
      maxCachedWorkflows: configuration.worker.cachedWorkflows,
      stickyQueueScheduleToStartTimeout: stickyTimeoutMs,
    },
    {
      ...common,
      taskQueue: queues.journal,
      activities: {
        ...createJournalActivities(services.store, services.activities.observer),
        ...createScheduleActivities(services.schedules),
      },
      maxConcurrentActivityTaskExecutions: journalSlots,
    },
    ...[...services.activities.sites.recovery.keys()].flatMap((siteId) => [
      {
        ...common,
        taskQueue: queues.site(siteId),
        activities,
        maxConcurrentActivityTaskExecutions: configuration.worker.siteSlots,
      },
      {
        ...common,
        taskQueue: queues.sessions(siteId),
        activities,
        maxConcurrentActivityTaskExecutions: sessionSlots,
      },
    ]),
  ];
  return Promise.all(settings.map(async (each) => ({ queue: each.taskQueue!, worker: await Worker.create(each) })));
}

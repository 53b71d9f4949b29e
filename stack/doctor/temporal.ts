/** Temporal: answers, knows the namespace, keeps histories long enough, has workers on every queue, and the right time. */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { journalQueue, replicationQueue, siteQueue, workflowQueue } from '../../workflows/messages';
import type { Check } from './check';
import { judgeSkew } from './clocks';
import type { Place } from './place';
import { ok, problem, warning, type Finding } from './report';

const callMs = 4_000;
/** A worker's long poll lasts a minute; one that has not come back for longer is gone. */
const pollerSeenWithinMs = 70_000;
/** temporal.api.enums.v1.TaskQueueType */
const queueTypes = { workflow: 1, activity: 2 } as const;
const daySeconds = 86_400;

interface Queue {
  readonly name: string;
  readonly kind: keyof typeof queueTypes;
}

export function temporalChecks(place: Place): Check[] {
  const { temporal, sites } = place.configuration;
  const queues: Queue[] = [
    { name: workflowQueue, kind: 'workflow' },
    { name: journalQueue, kind: 'activity' },
    ...sites.flatMap(({ id }) =>
      [siteQueue(id), replicationQueue(id)].map((name) => ({ name, kind: 'activity' }) as const),
    ),
  ];
  /** Nothing is asked twice of a server that is not there: the other checks then only say so. */
  let reached: Promise<Error | undefined> | undefined;
  const unreachable = (): Promise<Error | undefined> => (reached ??= describe(place).then(() => undefined, asError));
  const whenReached = (look: () => Promise<Finding>) => async (): Promise<Finding | undefined> =>
    (await unreachable()) === undefined ? look() : undefined;
  return [
    {
      id: 'temporal.connection',
      title: `Temporal answers at ${temporal.address}`,
      look: async () => {
        const error = await unreachable();
        return error === undefined ? lookAtNamespace(place) : lookAtFailure(place, error);
      },
    },
    ...queues.map((queue) => ({
      id: `worker.queue.${queue.name}`,
      title: `a worker polls queue ${queue.name}`,
      look: whenReached(() => lookAtQueue(place, queue)),
    })),
    { id: 'clock.temporal', title: "Temporal's clock", look: whenReached(() => lookAtClock(place)) },
  ];
}

const describe = ({ configuration: { temporal } }: Place) =>
  withConnection(temporal.address, async ({ workflowService }) => {
    const { serverVersion } = await workflowService.getSystemInfo({});
    const { config } = await workflowService.describeNamespace({ namespace: temporal.namespace });
    return { serverVersion, retentionSeconds: Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) };
  });

async function lookAtNamespace(place: Place): Promise<Finding> {
  const { namespace, retentionDays } = place.configuration.temporal;
  const { serverVersion, retentionSeconds } = await describe(place);
  const days = Math.floor(retentionSeconds / daySeconds);
  const found = `server ${serverVersion ?? 'of unknown version'}, namespace ${namespace}, histories kept for ${days} days`;
  const needed = `histories kept for ${retentionDays} days`;
  if (days >= retentionDays) return ok(found, needed);
  const remedy = `Run: temporal operator namespace update -n ${namespace} --retention ${retentionDays}d. (The journal is kept for good all the same.)`;
  return warning(found, needed, remedy);
}

function lookAtFailure({ configuration: { temporal }, upRuns, folder }: Place, error: Error): Finding {
  if (temporal.embedded && !upRuns) return warning('not running', 'an answer', 'Start it: muster up.');
  const needed = `a server that answers and has the namespace ${temporal.namespace}`;
  const remedy = temporal.embedded
    ? `Its log is ${folder.logs}/temporal.log; \`muster up\` starts it again.`
    : `Start it, correct MUSTER_TEMPORAL_ADDRESS, or create the namespace: temporal operator namespace create -n ${temporal.namespace}.`;
  return problem(error.message, needed, remedy);
}

async function lookAtQueue(place: Place, { name, kind }: Queue): Promise<Finding> {
  const { configuration, upRuns } = place;
  const seen = await pollersOf(place, name, kind);
  const live = seen.filter(({ ageMs }) => ageMs <= pollerSeenWithinMs);
  const needed = 'a worker';
  if (live.length > 0) return ok([...new Set(live.map(({ identity }) => identity))].join(', '), needed);
  const found =
    seen.length === 0 ? 'nobody' : `nobody for ${Math.round(Math.min(...seen.map((p) => p.ageMs)) / 1000)} s`;
  const idle = configuration.temporal.embedded && !upRuns;
  return (idle ? warning : problem)(
    found,
    needed,
    'Start a worker that has this site: `muster up` or `muster worker`.',
  );
}

/** Pollers by the server's own clock, so that a clock that is wrong here makes nobody look gone. */
async function pollersOf(
  place: Place,
  queue: string,
  kind: Queue['kind'],
): Promise<{ identity: string; ageMs: number }[]> {
  const { address, namespace } = place.configuration.temporal;
  return withConnection(address, async (connection) => {
    const serverNow = await serverTime(connection, namespace);
    const pollers = await pollersAt(connection, namespace, queue, kind);
    return pollers.map(({ identity, at }) => ({ identity, ageMs: serverNow - at }));
  });
}

async function lookAtClock(place: Place): Promise<Finding> {
  const { address, namespace } = place.configuration.temporal;
  return withConnection(address, async (connection) => {
    const before = place.now();
    const theirs = await serverTime(connection, namespace);
    const after = place.now();
    return judgeSkew('Temporal', theirs - (before + after) / 2, (after - before) / 2);
  });
}

/**
 * The server's clock. No call answers with it, but the server notes when a poller came: this polls a queue of its own
 * for a moment, on which there is never a task, and reads the note.
 */
async function serverTime(connection: Connection, namespace: string): Promise<number> {
  const name = `muster-doctor-${randomUUID()}`;
  const identity = `doctor@${hostname()}`;
  const enough = new AbortController();
  const polling = connection
    .withAbortSignal(enough.signal, () =>
      connection.workflowService.pollActivityTaskQueue({ namespace, taskQueue: { name }, identity }),
    )
    .catch(() => undefined);
  try {
    for (const until = performance.now() + callMs / 2; performance.now() < until;) {
      const [own] = await pollersAt(connection, namespace, name, 'activity');
      if (own !== undefined) return own.at;
      await Promise.race([polling, sleep(20)]);
    }
    throw new Error('Temporal did not say when it was asked');
  } finally {
    enough.abort();
    await polling;
  }
}

async function pollersAt(
  { workflowService }: Connection,
  namespace: string,
  queue: string,
  kind: Queue['kind'],
): Promise<{ identity: string; at: number }[]> {
  const taskQueueType = queueTypes[kind];
  const { pollers } = await workflowService.describeTaskQueue({ namespace, taskQueue: { name: queue }, taskQueueType });
  return pollers.map(({ identity, lastAccessTime }) => ({
    identity: identity ?? '',
    at: Number(lastAccessTime?.seconds ?? 0) * 1000 + (lastAccessTime?.nanos ?? 0) / 1e6,
  }));
}

async function withConnection<T>(address: string, use: (connection: Connection) => Promise<T>): Promise<T> {
  // Without interceptors, of which the standard one tries again by itself, also after the connection was closed.
  const connection = await Connection.connect({ address, connectTimeout: callMs / 2, interceptors: [] });
  try {
    return await connection.withDeadline(Date.now() + callMs, () => use(connection));
  } finally {
    await connection.close();
  }
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

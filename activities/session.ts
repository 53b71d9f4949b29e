/** The long activities of a replication session: cycles at the server's cadence, under the lease of the replica. */
import { ApplicationFailure, CancelledFailure, Context, log } from '@temporalio/activity';
import { isMusterError, OperatorError } from '../model/errors';
import { whileDoing } from '../programs/log';
import { within } from '../programs/within';
import { isAgentToCome } from '../replication/agent-to-come';
import type { ServerSpec } from '../model/server';
import { allMachines } from './all-machines';
import { whileBeating } from './attempt';
import { elapsedMs, pause, replicaResource, until } from './common';
import type { CyclesEnded, ReplicateInput, SessionActivities, SiteActivities } from './contract';
import { withLease } from './lease';
import { recoverySite, sourceSite } from './site';
import { Preparer, type PreparingSlot } from './session-prepare';
import type { ActivityDeps, RecoverySite } from './site';

/** Ends now and then so that a new worker version takes over and history stays bounded: 24 entries a day. */
const stretchMs = 60 * 60 * 1000;
/** How soon a session notices that a run holds its replica; a recovery's freeze waits for this. */
const lookEveryMs = 500;
/** A guest that starts is copied when its agent has come, or after so long; meanwhile its lag grows. */
const longestStartMs = 5 * 60_000;
const startLookMs = 2_000;

type OfReplicas = SessionActivities & Pick<SiteActivities, 'discoverServer' | 'viewReplicas' | 'endHold'>;

export function createSessionActivities(deps: ActivityDeps): OfReplicas {
  const slot: PreparingSlot = { taken: false };
  return {
    prepareReplica: ({ server }) =>
      asActivity((signal) =>
        underLease(deps, server, 'prepare', signal, (site) => site.replicas.prepare(server, { signal })),
      ),

    replicate: ({ server, untilFirstPoint = false }) =>
      whileDoing({ server: server.name, serverId: server.id, site: server.recoverySiteId }, () =>
        asActivity((signal, beat) =>
          replicate(deps, { server, untilFirstPoint }, slot, signal, beat).finally(() =>
            deps.observer?.sessionLeft(server),
          ),
        ),
      ),

    awaitLetGo: ({ server }) =>
      asActivity((signal) => {
        const { replicas } = recoverySite(deps.sites, server.recoverySiteId);
        return until(
          async () => {
            const view = await replicas.view(server.id);
            if (view === undefined || view.state === 'removed') return { gone: true };
            return view.heldBy === null ? { gone: false } : undefined;
          },
          lookEveryMs,
          signal,
        );
      }),

    removeReplica: ({ server }) =>
      asActivity((signal) => underLease(deps, server, 'remove', signal, (site) => removeReplica(site, server, signal))),

    discoverServer: ({ sourceSiteId, machineName }) =>
      asActivity((signal) => sourceSite(deps.sites, sourceSiteId).source.discover(machineName, { signal })),

    endHold: ({ siteId, serverId, runId }) =>
      asActivity((signal) => {
        const { leaseFolder, replicas } = recoverySite(deps.sites, siteId);
        const { activityId, attempt, workflowExecution } = Context.current().info;
        // Later than anything that the run itself may still have on its way.
        const token = { execution: `${workflowExecution?.runId}/${activityId}` };
        const holder = { runId, step: 'close', item: null, attempt, token };
        const letGo = () => replicas.letGo(serverId, runId);
        return withLease(leaseFolder, replicaResource(serverId), holder, letGo, { signal });
      }),

    viewReplicas: ({ siteId }) => asActivity(() => recoverySite(deps.sites, siteId).replicas.views()),
  };
}

interface CyclesProgress {
  readonly label: string;
  readonly done: number;
  readonly total: null;
  readonly unit: 'items';
  readonly ratePerSecond: null;
  readonly timeLeftMs: null;
}

type Wanted = Pick<ReplicateInput, 'server' | 'untilFirstPoint'>;

async function replicate(
  deps: ActivityDeps,
  wanted: Wanted,
  slot: PreparingSlot,
  signal: AbortSignal,
  beat: (latest: CyclesProgress) => void,
): Promise<CyclesEnded> {
  const preparer = createPreparer(deps, wanted.server, slot, signal);
  await preparer.begin();
  try {
    return await cycles(deps, wanted, preparer, signal, beat);
  } finally {
    await preparer.end();
  }
}

async function cycles(
  deps: ActivityDeps,
  { server, untilFirstPoint }: Wanted,
  preparer: Preparer,
  signal: AbortSignal,
  beat: (latest: CyclesProgress) => void,
): Promise<CyclesEnded> {
  const { replicas } = recoverySite(deps.sites, server.recoverySiteId);
  const endsAt = elapsedMs() + stretchMs;
  let taken = 0;
  let frozenAt = -Infinity;
  let startsSince: number | null = null;
  for (;;) {
    const startedAt = elapsedMs();
    const view = await replicas.view(server.id);
    if (view === undefined) throw notThere(server);
    deps.observer?.replicaSeen(server, view.points);
    if (view.state === 'removed') return { because: 'gone', heldBy: null, cycles: taken };
    if (view.heldBy !== null) return { because: 'held', heldBy: view.heldBy, cycles: taken };
    if (startedAt >= endsAt) return { because: 'stretch-over', heldBy: null, cycles: taken };
    const { freezeEveryMs, pointEveryMs } = server.cadence;
    const freezeFilesystems = freezeEveryMs > 0 && startedAt - frozenAt >= freezeEveryMs;
    const agentFirst = startsSince === null || startedAt - startsSince < longestStartMs;
    const outcome = await oneCycle(deps, server, { freezeFilesystems, agentFirst }, signal);
    if (outcome === 'agent-to-come') {
      if (startsSince === null)
        log.info('The guest starts, and is copied when its agent has come', { server: server.name });
      startsSince ??= startedAt;
      await restUntil(startedAt + startLookMs, server.id, replicas, signal);
      continue;
    }
    if (outcome === 'point') {
      if (!agentFirst) log.warn('Copied without the guest’s agent, which has not come', { server: server.name });
      startsSince = null;
      taken += 1;
      if (freezeFilesystems) frozenAt = startedAt;
      if (untilFirstPoint === true) return { because: 'first-point', heldBy: null, cycles: taken };
      await preparer.consider(startedAt);
    }
    beat({
      label: 'Recovery points taken',
      done: taken,
      total: null,
      unit: 'items',
      ratePerSecond: null,
      timeLeftMs: null,
    });
    await restUntil(startedAt + pointEveryMs, server.id, replicas, signal);
  }
}

function createPreparer(deps: ActivityDeps, server: ServerSpec, slot: PreparingSlot, signal: AbortSignal): Preparer {
  const onReplica = <T>(work: () => Promise<T>) =>
    underLease(deps, server, 'prepare-inoculation', signal, work, { waitMs: 1_000 });
  const onProblem = (error: unknown) =>
    log.warn('Inoculation was not prepared; it is tried again later', { error: String(error), server: server.name });
  return new Preparer({ deps, server, slot, onReplica, onProblem });
}

/** Not taken for removed: what ends a session deletes its points, and storage that is away comes back with all of them. */
function notThere(server: ServerSpec): OperatorError {
  return new OperatorError({
    what: `the replica of ${server.name} is not there`,
    found: `no replica of server ${server.id} at site ${server.recoverySiteId}`,
    needed: 'the folder that this session prepared',
    remedy:
      'Bring the storage of replicas back; replication goes on by itself. If the replica was deleted on purpose, remove the session.',
  });
}

/** held: a run came in between. Both that and a guest that only starts let the lease go, and the loop looks again. */
async function oneCycle(
  deps: ActivityDeps,
  server: ServerSpec,
  how: { readonly freezeFilesystems: boolean; readonly agentFirst: boolean },
  signal: AbortSignal,
): Promise<'point' | 'held' | 'agent-to-come'> {
  const held = new AbortController();
  const watch = new AbortController();
  const { replicas } = recoverySite(deps.sites, server.recoverySiteId);
  const watching = watchForHold(replicas, server.id, watch.signal).then((seen) => {
    if (seen) held.abort(new Error('a run holds the replica'));
  });
  try {
    const report = await within({ signals: [signal, held.signal] }, (either) =>
      underLease(deps, server, 'cycle', either, (site) => site.replicas.cycle(server, { signal: either, ...how })),
    );
    deps.observer?.cycleEnded(server, report);
    return 'point';
  } catch (error) {
    signal.throwIfAborted();
    if (held.signal.aborted || (await replicas.view(server.id))?.heldBy) return 'held';
    if (isAgentToCome(error)) return 'agent-to-come';
    deps.observer?.cycleFailed(server, error);
    throw error;
  } finally {
    watch.abort();
    await watching;
  }
}

/** True as soon as a run holds the replica; false when the watch is ended. */
async function watchForHold(
  replicas: RecoverySite['replicas'],
  serverId: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    return await until(async () => ((await replicas.view(serverId))?.heldBy ? true : undefined), lookEveryMs, signal);
  } catch {
    return false;
  }
}

async function restUntil(
  /** In elapsedMs. */
  time: number,
  serverId: string,
  replicas: RecoverySite['replicas'],
  signal: AbortSignal,
): Promise<void> {
  while (elapsedMs() < time) {
    await pause(Math.min(lookEveryMs, Math.max(0, time - elapsedMs())), signal);
    if ((await replicas.view(serverId))?.heldBy) return;
  }
}

/** Overlays of runs that are over go with the replica, unless a machine still stands on them. */
async function removeReplica(
  { platform, replicas }: RecoverySite,
  server: ServerSpec,
  signal: AbortSignal,
): Promise<void> {
  const heldBy = (await replicas.view(server.id))?.heldBy ?? null;
  const over = (await replicas.runs(server.id)).filter((runId) => runId !== heldBy);
  const machines = over.length === 0 ? [] : await allMachines(platform, { signal });
  for (const runId of over) {
    const machine = machines.find((one) => one.owner?.runId === runId);
    if (machine !== undefined) {
      throw new OperatorError({
        what: `the replica of ${server.name} cannot be removed`,
        found: `${machine.name} stands on its points, since run ${runId}`,
        needed: 'a replica that no machine stands on',
        remedy: `Remove ${machine.name} from the platform first; until then the removal waits and is tried again.`,
      });
    }
    await replicas.drop(server.id, runId, { signal });
  }
  await replicas.remove(server.id, { signal });
}

function underLease<T>(
  deps: ActivityDeps,
  server: ServerSpec,
  step: string,
  signal: AbortSignal,
  work: (site: RecoverySite) => Promise<T>,
  options: { waitMs?: number } = {},
): Promise<T> {
  const site = recoverySite(deps.sites, server.recoverySiteId);
  const { workflowExecution, activityId, attempt } = Context.current().info;
  const execution = `${workflowExecution?.runId}/${activityId}/${attempt}`;
  const holder = { runId: `session/${server.id}`, step, item: null, attempt, token: { execution } };
  return withLease(site.leaseFolder, replicaResource(server.id), holder, () => work(site), { signal, ...options });
}

/** Not a step of a run: plain results, but the same heartbeats, cancellation and families of failures. */
export function asActivity<T>(
  work: (signal: AbortSignal, beat: Parameters<Parameters<typeof whileBeating>[0]>[0]) => Promise<T>,
): Promise<T> {
  return whileBeating(async (beat) => {
    const { cancellationSignal, cancellationDetails } = Context.current();
    try {
      return await work(cancellationSignal, beat);
    } catch (error) {
      if (cancellationSignal.aborted) {
        if (cancellationDetails?.workerShutdown === true) {
          throw ApplicationFailure.create({
            type: 'WorkerShutdown',
            message: 'The worker is stopping.',
            nonRetryable: true,
          });
        }
        throw new CancelledFailure('The activity was cancelled.');
      }
      const type = isMusterError(error) ? error.family : 'TransientError';
      const message = error instanceof Error ? error.message : String(error);
      throw ApplicationFailure.create({ type, message: message.slice(0, 2048), nonRetryable: true });
    }
  });
}

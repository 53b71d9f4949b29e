/** Effects on the replica: freeze, take, suspend, resume. All under the lease of the server's replica. */
import { OperatorError, PermanentError, TransientError } from '../model/errors';
import type { RecoveryOrder } from '../model/order';
import { isRehearsal, letsReplicaGo, rehearsalProblem } from '../model/rehearsal';
import type { PointManifest } from '../model/replica';
import { inTime, within } from '../programs/within';
import type { HoldOptions } from '../replication/contract';
import type { Frozen, RecoveryActivities } from './contract';
import type { Attempt } from './attempt';
import { callOptions, replicaResource, takesCopies, workAt } from './common';
import { choosePoint, verifyPoint } from './choose-point';
import { assertInTime } from './lease';
import { askSource, forgetSourceStopped, noteSourceStopped, startSourceAgain, stopSource } from './source';
import type { ActivityDeps, RecoverySite } from './site';
import { platformOf } from './site';
import type { EffectsOf } from './attempt';

type ReplicaEffects = Pick<
  RecoveryActivities,
  | 'freezeReplica'
  | 'thawReplica'
  | 'takeDisks'
  | 'letReplicaGo'
  | 'dropDisks'
  | 'suspendReplication'
  | 'unsuspendReplication'
  | 'resumeReplication'
  | 'rememberSource'
>;

export function createReplicaEffects(deps: ActivityDeps): EffectsOf<ReplicaEffects> {
  return {
    async freezeReplica({ order }, attempt) {
      const { site, onReplica } = workAt(deps, order, attempt);
      refuseInRehearsal(order);
      // The hold comes first: it makes the session end its cycle, and with it the lease becomes free. An attempt that an
      // undo has overtaken must not set it: nobody would ever take it away.
      await assertInTime(site.leaseFolder, replicaResource(order.server.id), attempt.effect);
      await site.replicas.hold(order.server.id, order.runId, 'frozen', yieldsIn(order));
      // Reading the layers may take long: in a rehearsal nobody waits for it, the hold keeps them as they are.
      const verify = (point: PointManifest) => verifyPoint(order, site, point, attempt);
      const frozen = await onReplica(async () => {
        const sourceStopped = order.intent === 'planned' && (await stopSource(deps, order, site, attempt));
        const finalCycle = await lastCycle(order, site, attempt);
        const point = await choosePoint(order, site);
        const verified = isRehearsal(order) ? null : await verify(point);
        return { point, finalCycle, sourceStopped, verified };
      });
      const verified = frozen.verified ?? (await verify(frozen.point));
      const disks = frozen.point.disks.map(({ diskId, signatures }) => ({ diskId, signatures }));
      return { ...frozen, verified, point: { ...frozen.point, disks } };
    },

    async thawReplica({ order }, attempt) {
      const { site, onReplica } = workAt(deps, order, attempt);
      await onReplica(() => site.replicas.letGo(order.server.id, order.runId));
      await startSourceAgain(deps, order, site, attempt);
    },

    async takeDisks({ order, pointId }, attempt) {
      const { site, onReplica, onDisks } = workAt(deps, order, attempt);
      const { server, option, runId } = order;
      const { options, copiedBytes } = countingBytes(attempt);
      const take = () => site.replicas.take(server, pointId, option, runId, options);
      if (!letsReplicaGo(order)) return onReplica(take);
      // Taken again after the replica was let go: the point must not be merged away while it is copied.
      await assertInTime(site.leaseFolder, replicaResource(server.id), attempt.effect);
      await site.replicas.hold(server.id, runId, 'frozen', yieldsIn(order));
      if (!takesCopies(order)) return onDisks(take);
      const disks = await onReplica(() => onDisks(take));
      deps.observer?.disksCopied(order, copiedBytes());
      return disks;
    },

    async letReplicaGo({ order }, attempt) {
      const { site, onReplica } = workAt(deps, order, attempt);
      await onReplica(() => site.replicas.letGo(order.server.id, order.runId));
    },

    async dropDisks({ order }, attempt) {
      const { site, onDisks } = workAt(deps, order, attempt);
      await onDisks(() => site.replicas.drop(order.server.id, order.runId, callOptions(attempt)));
    },

    async suspendReplication({ order }, attempt) {
      if (takesCopies(order)) return { state: 'replicating' };
      if (order.option !== 'destructive') return { state: 'frozen' };
      const { site, onReplica } = workAt(deps, order, attempt);
      await onReplica(() => site.replicas.hold(order.server.id, order.runId, 'suspended'));
      return { state: 'suspended' };
    },

    async unsuspendReplication({ order }, attempt) {
      if (takesCopies(order)) return;
      const { site, onReplica } = workAt(deps, order, attempt);
      await onReplica(() => site.replicas.hold(order.server.id, order.runId, 'frozen'));
    },

    async resumeReplication({ order }, attempt) {
      const { site, onReplica, onDisks } = workAt(deps, order, attempt);
      const { given } = platformOf(site, order);
      // Under the lease: an attempt that an undo has overtaken must not forget what the undo remembers again.
      await onReplica(async () => {
        await site.replicas.letGo(order.server.id, order.runId);
        await forgetSourceStopped(order, site);
      });
      // A given machine has the bytes: nothing stands on the run's disks any more, and overlays would keep points from merging.
      const drop = () => site.replicas.drop(order.server.id, order.runId, callOptions(attempt));
      if (given !== undefined) await onDisks(drop);
      const source = await askSource(deps, order, attempt);
      return { state: source === 'on' ? 'replicating' : 'source-unreachable' };
    },

    async rememberSource({ order }, attempt) {
      const { site, onReplica } = workAt(deps, order, attempt);
      await onReplica(() => noteSourceStopped(order, site));
    },
  };
}

/** The bytes that were copied, as progress tells of them: what an earlier attempt had copied is not among them. */
function countingBytes(attempt: Attempt): { options: ReturnType<typeof callOptions>; copiedBytes: () => number } {
  const { signal, onProgress } = callOptions(attempt);
  const doneByLabel = new Map<string, number>();
  const counting: typeof onProgress = (progress) => {
    if (progress.unit === 'bytes') doneByLabel.set(progress.label, progress.done);
    onProgress(progress);
  };
  const copiedBytes = () => [...doneByLabel.values()].reduce((sum, bytes) => sum + bytes, 0);
  return { options: { signal, onProgress: counting }, copiedBytes };
}

/** A machine that is just being started cannot be ended before; not for ever, where a site answers nothing. */
const longestEndMs = 70_000;

/** One more cycle where the source still answers; a planned recovery insists on it. The hold is ours again afterwards. */
async function lastCycle(order: RecoveryOrder, site: RecoverySite, attempt: Attempt): Promise<Frozen['finalCycle']> {
  if (order.finalCycle === 'never' || order.point !== 'latest') return 'not-wanted';
  const { id } = order.server;
  const ofStoppedMachine = order.intent === 'planned';
  let cycle: Promise<unknown> = Promise.resolve();
  try {
    await site.replicas.letGo(id, order.runId);
    const signals = [attempt.signal];
    cycle = within({ signals, ms: order.sourceDeadlineMs }, (signal) =>
      site.replicas.cycle(order.server, { ...callOptions(attempt), signal, ofStoppedMachine }),
    );
    // The cycle ends itself at the deadline; one that ignores it must not hold up the recovery for ever.
    await inTime({ signals, ms: order.sourceDeadlineMs + 10_000 }, () => cycle);
    return 'done';
  } catch (error) {
    attempt.signal.throwIfAborted();
    if (order.intent !== 'planned') return 'source-unreachable';
    const facts = {
      what: `the last cycle from the stopped source ${order.server.source.machineName} failed`,
      found: error instanceof Error ? error.message : String(error),
      needed: 'its last writes: the intent is planned',
      remedy: 'Mend the source or its storage and retry; or abort and start again with intent disaster.',
    };
    throw error instanceof TransientError ? new TransientError(facts) : new OperatorError(facts);
  } finally {
    // What holds a stopped machine's disks ends it before the undo starts it again.
    if (ofStoppedMachine) await inTime({ signals: [], ms: longestEndMs }, () => cycle).catch(() => undefined);
    await site.replicas.hold(id, order.runId, 'frozen', yieldsIn(order));
  }
}

/** A recovery takes over what a rehearsal holds. */
const yieldsIn = (order: RecoveryOrder): HoldOptions => (order.mode === 'rehearsal' ? { yields: true } : {});

/** Preflight says it, too, but can be skipped. */
function refuseInRehearsal(order: RecoveryOrder): void {
  const problem = isRehearsal(order) ? rehearsalProblem(order) : null;
  if (problem === null) return;
  throw new PermanentError({
    what: `${order.server.name} cannot be rehearsed like this`,
    ...problem,
    remedy: 'Abort, and start the rehearsal again without it.',
  });
}

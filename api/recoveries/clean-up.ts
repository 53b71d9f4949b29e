/** Cleaning up a rehearsal that was ended before it had: a run of its own with the same steps. */
import { v7 as uuidv7 } from 'uuid';
import type { Provenance, RecoveryOrder } from '../../model/order';
import { isRehearsal } from '../../model/rehearsal';
import type { ApiDeps } from '../deps';
import { notFound, Problem } from '../problems';
import type { StartedRecovery } from '../schemas/recoveries';
import { within } from '../within';

export interface CleanUpPush {
  readonly runId: string;
  readonly reason: string;
  readonly by: Provenance;
}

/**
 * Harmless where nothing is left. A second one beside a running one is the same one.
 *
 * @throws Problem `not-found`; `conflict` for what is no rehearsal, and for one that still runs and cleans up by itself.
 */
export async function startCleanUp(deps: ApiDeps, push: CleanUpPush): Promise<StartedRecovery> {
  const { store, temporal, config } = deps;
  const order = await within(config.storeDeadlineMs, store.order(push.runId));
  if (order === undefined) throw notFound('run', push.runId);
  if (!isRehearsal(order) || order.cleansUp !== undefined) {
    throw new Problem('conflict', `Run ${push.runId} is a ${wordsOf(order)}: only a rehearsal is cleaned up.`);
  }
  const execution = await temporal.findRecovery(config.tenantId, push.runId, order.server.id);
  if (execution?.running === true) {
    throw new Problem(
      'conflict',
      `Rehearsal ${push.runId} still runs and cleans up by itself. Abort it (\`muster abort ${push.runId}\`), or decide where it waits`,
      { runId: push.runId },
    );
  }
  const cleaning = await cleaningOrder(deps, order, push);
  const { runId, server, target } = cleaning;
  const memo = {
    ...{ runId, idempotencyKey: '', contentSha256: '', serverId: server.id, serverName: server.name },
    ...{ machineName: target.machineName, requestedBy: push.by.actor.name },
  };
  const started = await temporal.startRecovery(cleaning, memo);
  const now = started.kind === 'started' ? memo : (started.other?.memo ?? memo);
  const { serverId, serverName, machineName } = now;
  return { runId: now.runId, serverId, serverName, machineName, seenBefore: started.kind !== 'started' };
}

const wordsOf = ({ mode, cleansUp }: RecoveryOrder): string =>
  cleansUp !== undefined ? 'clean-up itself' : mode === 'rehearsal' ? 'rehearsal of an earlier version' : mode;

/** The networks of a plan that still runs are its servers'; nobody takes them away beneath them. */
async function cleaningOrder(
  { temporal, config, clock }: ApiDeps,
  order: RecoveryOrder,
  { reason, by }: CleanUpPush,
): Promise<RecoveryOrder> {
  const { partOf, tryOut: _tryOut, giveUpAfterMs: _giveUp, isolation, ...rest } = order;
  const plan = partOf === undefined ? undefined : await temporal.findPlan(config.tenantId, partOf.runId);
  const networks = plan?.running === true ? [] : (isolation?.networks ?? []);
  return {
    ...rest,
    ...(isolation === undefined ? {} : { isolation: { ...isolation, networks } }),
    ...{ runId: uuidv7(), procedure: 'rehearsal-clean-up', cleansUp: order.runId },
    ...{ requestedAt: clock().toISOString(), requestedBy: by, reason },
  };
}

/** Cleaning up a rehearsal that was ended before it had: a run of its own with the same steps. */
import { v7 as uuidv7 } from 'uuid';
import type { Provenance, RecoveryOrder } from '../../model/order';
import { isRehearsal } from '../../model/rehearsal';
import type { ApiDeps } from '../deps';
import { notFound, Problem } from '../problems';
import type { StartedCleanUp } from '../schemas/recoveries';
import type { RecoveryMemo } from '../temporal/recoveries';
import { within } from '../within';
import { startCleanUpOfPlan } from './clean-up-plan';

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
export async function startCleanUp(deps: ApiDeps, push: CleanUpPush): Promise<StartedCleanUp> {
  const { store, temporal, config } = deps;
  const row = await within(config.storeDeadlineMs, store.runs.get(push.runId));
  if (row?.procedure === 'plan') return startCleanUpOfPlan(deps, row, push);
  const order = await within(config.storeDeadlineMs, store.order(push.runId));
  if (order === undefined) throw notFound('run', push.runId);
  if (!isRehearsal(order) || order.cleansUp !== undefined) {
    throw new Problem('conflict', `Run ${push.runId} is a ${wordsOf(order)}: only a rehearsal is cleaned up.`);
  }
  const execution = await temporal.findRecovery(config.tenantId, push.runId, order.server.id);
  if (execution?.running === true) {
    throw new Problem(
      'conflict',
      `Rehearsal ${push.runId} still runs and cleans up by itself. Abort it (\`muster abort ${push.runId} --reason …\`), or decide where it waits`,
      { runId: push.runId },
    );
  }
  const cleaning = await cleaningOrder(deps, order, push);
  const memo = memoOf(cleaning);
  const started = await temporal.startRecovery(cleaning, memo);
  const now = started.kind === 'started' ? memo : (started.other?.memo ?? memo);
  const { serverId, serverName, machineName } = now;
  return { runId: now.runId, serverId, serverName, machineName, seenBefore: started.kind !== 'started' };
}

const wordsOf = ({ mode, cleansUp }: RecoveryOrder): string =>
  cleansUp !== undefined ? 'clean-up itself' : mode === 'rehearsal' ? 'rehearsal of an earlier version' : mode;

export function memoOf({ runId, server, target, requestedBy }: RecoveryOrder): RecoveryMemo {
  return {
    ...{ runId, idempotencyKey: '', contentSha256: '', serverId: server.id, serverName: server.name },
    ...{ machineName: target.machineName, requestedBy: requestedBy.actor.name },
  };
}

/** The networks of a plan that still runs are its servers'; nobody takes them away beneath them. */
async function cleaningOrder(deps: ApiDeps, order: RecoveryOrder, push: CleanUpPush): Promise<RecoveryOrder> {
  const { partOf, isolation } = order;
  const plan = partOf === undefined ? undefined : await deps.temporal.findPlan(deps.config.tenantId, partOf.runId);
  return asCleanUp(deps, order, plan?.running === true ? withoutNetworks(isolation) : isolation, push);
}

export const withoutNetworks = (isolation: RecoveryOrder['isolation']): RecoveryOrder['isolation'] =>
  isolation && { ...isolation, networks: [] };

/**
 * `isolation`: with the networks that go with it. The plan may be over: the clean-up tells it nothing, and waits for none of its
 * verdicts.
 */
export function asCleanUp(
  { clock }: Pick<ApiDeps, 'clock'>,
  order: RecoveryOrder,
  isolation: RecoveryOrder['isolation'],
  { reason, by }: CleanUpPush,
): RecoveryOrder {
  const { partOf, tryOut: _tryOut, giveUpAfterMs: _giveUp, isolation: _isolation, ...rest } = order;
  const { runId: planRunId, runbooks = [] } = partOf ?? {};
  return {
    ...rest,
    ...(planRunId === undefined ? {} : { rehearsedIn: { runId: planRunId, runbooks } }),
    ...(isolation === undefined ? {} : { isolation }),
    ...{ runId: uuidv7(), procedure: 'rehearsal-clean-up', cleansUp: order.runId },
    ...{ requestedAt: clock().toISOString(), requestedBy: by, reason },
  };
}

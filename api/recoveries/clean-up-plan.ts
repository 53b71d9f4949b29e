/** Cleaning up after the rehearsal of a whole runbook: one run for each server's rehearsal that is not known to be clean. */
import type { RecoveryOrder } from '../../model/order';
import type { ChildRun } from '../../model/plan-view/child-run';
import { isClosedRun } from '../../model/steps';
import type { RunRow } from '../../store/contract';
import type { ApiDeps } from '../deps';
import { Problem } from '../problems';
import type { StartedCleanUp } from '../schemas/recoveries';
import { cleanUpRun } from '../temporal/plans';
import { within } from '../within';
import { asCleanUp, memoOf, type CleanUpPush } from './clean-up';

/**
 * In the reverse of the order in which they were started, one after the other; harmless where nothing is left.
 *
 * @throws Problem `conflict` for a plan that recovers, while it or a run of it still runs and cleans up by itself, and for one that
 * never started a server.
 */
export async function startCleanUpOfPlan(deps: ApiDeps, plan: RunRow, push: CleanUpPush): Promise<StartedCleanUp> {
  const { store, temporal, config } = deps;
  if (plan.mode !== 'rehearsal') {
    throw new Problem('conflict', `Run ${plan.runId} is a recovery: only a rehearsal is cleaned up.`);
  }
  const below = await within(config.storeDeadlineMs, store.runs.below(plan.runId));
  await refuseWhileRunning(deps, plan, below);
  const rehearsals = below.filter(({ procedure }) => procedure === 'push-button-recovery').reverse();
  const orders = await Promise.all(
    toCleanUp(rehearsals).map(({ runId }) => within(config.storeDeadlineMs, store.order(runId))),
  );
  const known = orders.filter((order) => order !== undefined);
  if (known.length === 0) {
    throw new Problem('conflict', `Plan ${plan.runId} has started no server: there is nothing of it to clean up.`);
  }
  const cleanUps = (await withNetworks(deps, known, push)).map((order) => ({ order, memo: { ...memoOf(order) } }));
  const started = await temporal.startPlanCleanUp(plan.runId, cleanUps);
  const runs = started.kind === 'started' ? cleanUps.map(cleanUpRun) : started.runs;
  const { serverId, machineName } = cleanUps[0]!.memo;
  const { runId, serverName } = runs[0]!;
  return { runId, serverName, serverId, machineName, seenBefore: started.kind === 'runs', runs: [...runs] };
}

/**
 * Those whose end does not say that they cleaned up. Of each site at least one, also where all did: whoever ended the plan may have
 * left its networks behind.
 */
function toCleanUp(rehearsals: readonly ChildRun[]): ChildRun[] {
  const isDone = ({ state }: ChildRun): boolean => state === 'succeeded';
  const lastOfSite = new Map(rehearsals.map((run) => [run.facts?.server?.siteId ?? '', run.runId]));
  const needed = new Set(lastOfSite.values());
  return rehearsals.filter((run) => !isDone(run) || needed.has(run.runId));
}

/** The networks go with the last at each site, when no machine is plugged into them any more; a plan that still runs keeps its own. */
async function withNetworks(
  deps: ApiDeps,
  orders: readonly RecoveryOrder[],
  push: CleanUpPush,
): Promise<RecoveryOrder[]> {
  const owners = [...new Set(orders.flatMap(({ isolation }) => isolation?.ownerRunId ?? []))];
  const found = await Promise.all(owners.map((owner) => deps.temporal.findPlan(deps.config.tenantId, owner)));
  const alive = new Set(owners.filter((_owner, index) => found[index]?.running === true));
  const lastAt = new Map(orders.map(({ target }, index) => [target.siteId, index]));
  return orders.map((order, index) => {
    const { siteId } = order.target;
    const ofSite = orders.filter(({ target }) => target.siteId === siteId);
    const networks = ofSite.flatMap(({ isolation }) =>
      isolation === undefined || alive.has(isolation.ownerRunId) ? [] : isolation.networks,
    );
    return asCleanUp(deps, order, lastAt.get(siteId) === index ? [...new Set(networks)] : [], push);
  });
}

const mostNamed = 5;

async function refuseWhileRunning(deps: ApiDeps, plan: RunRow, below: readonly ChildRun[]): Promise<void> {
  const { temporal, config } = deps;
  const itself = await temporal.findPlan(config.tenantId, plan.runId);
  if (itself?.running === true) {
    throw new Problem(
      'conflict',
      `The rehearsal of ${plan.serverName} (plan ${plan.runId}) still runs and cleans up by itself. Abort it (\`muster abort ${plan.runId}\`), or decide where it waits`,
      { runId: plan.runId },
    );
  }
  const open = below.filter(({ state }) => !isClosedRun(state));
  const running = await Promise.all(
    open.map(async ({ runId, serverId, procedure }) =>
      procedure === 'plan'
        ? temporal.findPlan(config.tenantId, runId)
        : temporal.findRecovery(config.tenantId, runId, serverId),
    ),
  );
  const still = open.filter((_run, index) => running[index]?.running === true);
  if (still.length === 0) return;
  const named = still.slice(0, mostNamed).map(({ serverName, runId }) => `${serverName} (\`muster abort ${runId}\`)`);
  const more = still.length > mostNamed ? ` and ${still.length - mostNamed} more` : '';
  throw new Problem(
    'conflict',
    `Runs of plan ${plan.runId} go on without it and clean up by themselves: ${named.join(', ')}${more}. Abort them, or decide where they wait, then clean up`,
    { runId: still[0]!.runId },
  );
}

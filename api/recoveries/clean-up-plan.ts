/** Cleaning up after the rehearsal of a whole runbook: one run for each server's rehearsal that is not known to be clean. */
import { everyServerOf } from '../../model/every-server';
import type { RecoveryOrder } from '../../model/order';
import type { PlanOrder } from '../../model/plan';
import { networksBySite } from '../../model/rehearsal';
import type { ChildRun } from '../../model/plan-view/child-run';
import { isClosedRun } from '../../model/steps';
import type { RunRow } from '../../store/contract';
import type { ApiDeps } from '../deps';
import { Problem } from '../problems';
import type { StartedCleanUp } from '../schemas/recoveries';
import { cleanUpRun } from '../temporal/plans';
import type { Execution } from '../temporal/recoveries';
import { within } from '../within';
import { asCleanUp, memoOf, withoutNetworks, type CleanUpPush } from './clean-up';

/**
 * In the reverse of the order in which they were started, one after the other; harmless where nothing is left. The networks go with the
 * last at each site, when no machine is plugged into them any more: those of every server of the plan, begun or not, as it made them.
 *
 * @throws Problem `conflict` for a plan that recovers, while it or a run of it still runs and cleans up by itself, and for one that
 * neither started a server nor made a network.
 */
export async function startCleanUpOfPlan(deps: ApiDeps, plan: RunRow, push: CleanUpPush): Promise<StartedCleanUp> {
  const { store, temporal, config } = deps;
  if (plan.mode !== 'rehearsal') {
    throw new Problem('conflict', `Run ${plan.runId} is a recovery: only a rehearsal is cleaned up.`);
  }
  const below = await within(config.storeDeadlineMs, store.runs.below(plan.runId));
  const execution = await refuseWhileRunning(deps, plan, below);
  const planned = execution === undefined ? [] : serversOf(await temporal.planOrder(execution));
  const rehearsals = below.filter(({ procedure }) => procedure === 'push-button-recovery').reverse();
  const needed = toCleanUp(rehearsals);
  // Of a plan that Temporal has forgotten only the servers that had begun are known.
  const known = await ordersOf(deps, planned.length === 0 ? rehearsals : needed);
  const networks = await networksLeft(deps, [...known, ...planned]);
  const begun = known.filter((order) => needed.some(({ runId }) => runId === order.runId));
  const orders = [...begun, ...forNetworksAlone(networks, begun)];
  if (orders.length === 0) throw new Problem('conflict', nothingOf(plan, execution));
  const cleanUps = withNetworks(deps, orders, networks, push).map((order) => ({ order, memo: { ...memoOf(order) } }));
  const started = await temporal.startPlanCleanUp(plan.runId, cleanUps);
  const runs = started.kind === 'started' ? cleanUps.map(cleanUpRun) : started.runs;
  const { serverId, machineName } = cleanUps[0]!.memo;
  const { runId, serverName } = runs[0]!;
  return { runId, serverName, serverId, machineName, seenBefore: started.kind === 'runs', runs: [...runs] };
}

const serversOf = (order: PlanOrder): RecoveryOrder[] => everyServerOf(order).map((server) => server.order);

async function ordersOf({ store, config }: ApiDeps, rehearsals: readonly ChildRun[]): Promise<RecoveryOrder[]> {
  const orders = await Promise.all(rehearsals.map(({ runId }) => within(config.storeDeadlineMs, store.order(runId))));
  return orders.filter((order) => order !== undefined);
}

function nothingOf({ runId }: RunRow, execution: Execution | undefined): string {
  const nothing = `Plan ${runId} has started no server`;
  return execution === undefined
    ? `${nothing}, and Temporal has forgotten it: networks that its record says it made are removed at the platform, by hand.`
    : `${nothing} and made no networks: there is nothing of it to clean up.`;
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

/** By site; a plan that still runs, one that includes this one, keeps its own. */
async function networksLeft({ temporal, config }: ApiDeps, orders: readonly RecoveryOrder[]): Promise<NetworksBySite> {
  const isolated = orders.flatMap(({ isolation }) => isolation ?? []).filter(({ networks }) => networks.length > 0);
  const owners = [...new Set(isolated.map(({ ownerRunId }) => ownerRunId))];
  const found = await Promise.all(owners.map((owner) => temporal.findPlan(config.tenantId, owner)));
  const alive = new Set(owners.filter((_owner, index) => found[index]?.running === true));
  return networksBySite(orders, (owner) => !alive.has(owner));
}

type NetworksBySite = ReturnType<typeof networksBySite>;

/** At sites where no server had begun one of them stands for the networks; without its scripts, because nothing of it was begun. */
const forNetworksAlone = (networks: NetworksBySite, begun: readonly RecoveryOrder[]): RecoveryOrder[] =>
  [...networks.values()]
    .filter(({ target: { siteId } }) => !begun.some(({ target }) => target.siteId === siteId))
    .map(({ scripts: _scripts, ...order }) => order);

function withNetworks(
  deps: ApiDeps,
  orders: readonly RecoveryOrder[],
  networks: NetworksBySite,
  push: CleanUpPush,
): RecoveryOrder[] {
  const lastAt = new Map(orders.map(({ target }, index) => [target.siteId, index]));
  return orders.map((order, index) => {
    const { siteId } = order.target;
    const theirs = lastAt.get(siteId) === index ? networks.get(siteId)?.isolation : undefined;
    return asCleanUp(deps, order, theirs ?? withoutNetworks(order.isolation), push);
  });
}

const mostNamed = 5;

/** Returns the plan as Temporal has it; undefined: it has none any more. */
async function refuseWhileRunning(
  deps: ApiDeps,
  plan: RunRow,
  below: readonly ChildRun[],
): Promise<Execution | undefined> {
  const { temporal, config } = deps;
  const itself = await temporal.findPlan(config.tenantId, plan.runId);
  if (itself?.running === true) {
    throw new Problem(
      'conflict',
      `The rehearsal of ${plan.serverName} (plan ${plan.runId}) still runs and cleans up by itself. Abort it (\`muster abort ${plan.runId} --reason …\`), or decide where it waits`,
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
  if (still.length === 0) return itself;
  const named = still
    .slice(0, mostNamed)
    .map(({ serverName, runId }) => `${serverName} (\`muster abort ${runId} --reason …\`)`);
  const more = still.length > mostNamed ? ` and ${still.length - mostNamed} more` : '';
  throw new Problem(
    'conflict',
    `Runs of plan ${plan.runId} go on without it and clean up by themselves: ${named.join(', ')}${more}. Abort them, or decide where they wait, then clean up`,
    { runId: still[0]!.runId },
  );
}

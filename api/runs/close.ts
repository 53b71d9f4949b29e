/**
 * Ending the record of a run that no workflow will end: Temporal has lost it, or somebody ended it there. Otherwise it would stand
 * in every list for good, as what waits for people and as what holds its server.
 */
import { fewAtOnce } from '../../model/few-at-once';
import type { Provenance } from '../../model/order';
import type { ChildRun } from '../../model/plan-view/child-run';
import type { RunRow } from '../../store/contract';
import { cleanUpWorkflowId, lockOf } from '../../workflows/messages';
import type { ApiDeps } from '../deps';
import { notFound, Problem } from '../problems';
import type { Refusals } from '../refusals';
import type { ClosedRuns } from '../schemas/runs';
import { within } from '../within';
import { readRun } from './read';

interface Closing {
  readonly deps: ApiDeps;
  readonly refusals: Refusals;
  readonly by: Provenance;
  readonly reason: string;
}

type Lost = Pick<RunRow | ChildRun, 'runId' | 'procedure' | 'serverName' | 'closedAt'>;

/** Questions to Temporal and Postgres that are open together. */
const atOnce = 20;
const mostNamed = 5;

/**
 * Of a plan all runs below it, too, the last that was started first, so that the plan's record can name how each ended. What they hold
 * of replicas is let go; closed already, that alone is done again.
 *
 * @throws Problem `not-found`; `refused` for a run that has ended by itself, and for one that Temporal still runs, or of which it runs a
 * part; `part-unavailable` where Temporal or Postgres does not answer: what is closed by then stays so, and the same call goes on.
 */
export async function closeRun({ deps, refusals, by, reason }: Closing, runId: string): Promise<ClosedRuns> {
  const { store, config } = deps;
  const row = await within(config.storeDeadlineMs, store.runs.get(runId));
  if (row === undefined) throw notFound('run', runId);
  if (row.closedAt !== null && !(await readRun(deps, runId)).view.lost) {
    throw new Problem('refused', `Run ${runId} is closed: it ended as ${row.state}`, { refusal: 'Closed', runId });
  }
  const below = row.procedure === 'plan' ? await within(config.storeDeadlineMs, store.runs.below(runId)) : [];
  const all = [row, ...below];
  const open = all.filter(({ closedAt }) => closedAt === null);
  await refuseWhileRunning(deps, open).catch((error: unknown) => {
    if (error instanceof Problem && error.kind === 'refused') refusals.note(`close of run ${runId}`, error.message, by);
    throw error;
  });
  const closed: Lost[] = [];
  for (const run of open.reverse()) {
    const summary = `Temporal did not run it any more; ${by.actor.name} closed its record: ${reason}`;
    const closing = { by, at: deps.clock().toISOString(), summary };
    if (await within(config.storeDeadlineMs, store.journal.close(run.runId, closing))) closed.push(run);
  }
  // Who ended otherwise has let go by itself; of those that were closed before, a site may not have answered then.
  const lost = all.filter(({ closedAt, state }) => closedAt === null || state === 'failed');
  const away = new Map<string, string>();
  const held = await fewAtOnce(lost, atOnce, (run) => endHold(deps, run, away));
  return {
    runId,
    closed: closed.map((run) => ({ runId: run.runId, serverName: run.serverName })),
    stillHeld: held.flat(),
  };
}

/**
 * Nobody else ever could: a hold is ended by its own run. What a site said that has no worker stands in `away` from then on, and it is
 * not asked again: each question would wait out its deadline.
 */
async function endHold(
  { store, temporal, config }: ApiDeps,
  { runId, procedure, serverName }: Lost,
  away: Map<string, string>,
): Promise<ClosedRuns['stillHeld']> {
  if (procedure === 'plan') return [];
  let siteId = '';
  try {
    const order = await within(config.storeDeadlineMs, store.order(runId));
    if (order === undefined || order.cleansUp !== undefined) return [];
    siteId = order.target.siteId;
    const because = away.get(siteId);
    if (because !== undefined) return [{ runId, serverName, because }];
    await temporal.endHold({ siteId, serverId: order.server.id, runId });
    return [];
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.kind === 'no-worker') away.set(siteId, error.message);
    return [{ runId, serverName, because: error.message }];
  }
}

async function refuseWhileRunning(deps: ApiDeps, runs: readonly Lost[]): Promise<void> {
  const running = await fewAtOnce(runs, atOnce, async (run) => ((await isRunning(deps, run)) ? [run] : []));
  const still = running.flat();
  if (still.length === 0) return;
  const named = still
    .slice(0, mostNamed)
    .map(({ runId, serverName }) => `${serverName} (\`muster abort ${runId} --reason …\`)`);
  const more = still.length > mostNamed ? ` and ${still.length - mostNamed} more` : '';
  throw new Problem(
    'refused',
    `Temporal still runs ${named.join(', ')}${more}: nothing is lost. Abort what is not wanted any more; it undoes what it did`,
    { refusal: 'Running', runId: still[0]!.runId },
  );
}

/** By the workflow id, which Temporal answers at once and truly; its lists follow later. */
async function isRunning({ store, temporal, config }: ApiDeps, { runId, procedure }: Lost): Promise<boolean> {
  if (procedure === 'plan') return (await temporal.findPlan(config.tenantId, runId))?.running === true;
  const order = await within(config.storeDeadlineMs, store.order(runId));
  if (order === undefined) return false;
  const { tenantId, cleansUp } = order;
  return temporal.runs(cleansUp === undefined ? lockOf(order) : cleanUpWorkflowId(tenantId, cleansUp), runId);
}

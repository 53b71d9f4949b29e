/**
 * Runs that wait for a worker that nobody is: Temporal keeps their work in a queue without a word. What a reader is told
 * of it, by the queue's own note of who last asked for work; and of runs whose next task every worker fails.
 */
import { failingWords } from '../../model/notify/failing-notice';
import { isClosedRun } from '../../model/steps';
import type { RunRow } from '../../store/contract';
import { siteQueue } from '../../workflows/messages';
import type { ApiDeps } from '../deps';
import type { RunProgress, Waiting } from '../temporal/live';
import type { SiteWatch } from '../site-watch';
import type { RunReading } from './read';
import { within } from '../within';

type Deps = Pick<ApiDeps, 'temporal' | 'config' | 'clock' | 'log'>;

/** A worker that is idle takes work at once; one that comes up needs a moment. */
const graceMs = 5_000;
/** Open runs of one page that are looked at; more are shown without a notice. */
const mostLooked = 20;

/** Sites at which a run waits for runs of its own; a server's run does so nowhere. */
export const sitesBelow = (reading: RunReading): readonly string[] =>
  reading.kind === 'plan' ? reading.view.order.sites : [];

/**
 * Why nothing of a running run goes on. What a plan waits for is the runs of its servers, in queues that are not its own: there the
 * watch over the sites tells.
 */
export async function standstillOf(
  deps: Deps,
  sites: Pick<SiteWatch, 'standstill'>,
  sitesBelow: readonly string[],
  progress: Pick<RunProgress, 'waiting' | 'running' | 'failing'>,
): Promise<string | null> {
  if (progress.failing) return failingWords(progress.failing);
  const own = await workerNotice(deps, progress);
  return own ?? (progress.running ? sites.standstill(sitesBelow) : null);
}

/** null: nothing waits, somebody asked for work since it does, or nobody can say. */
async function workerNotice(deps: Deps, { waiting }: Pick<RunProgress, 'waiting'>): Promise<string | null> {
  // What has waited for less than nothing waits by another clock than this host's: nothing is known of how long.
  const due = waiting.filter(({ since }) => Math.abs(deps.clock().getTime() - Date.parse(since)) >= graceMs);
  const notices = await Promise.all(due.map((one) => noticeOf(deps, one)));
  return notices.find((notice) => notice !== null) ?? null;
}

async function noticeOf({ temporal, config, log }: Deps, { kind, queue, since }: Waiting): Promise<string | null> {
  const site = config.siteIds.find((id) => siteQueue(id) === queue);
  if (kind === 'activity' && site === undefined) return null;
  const lastPoll = await temporal.lastPoll(queue, kind).catch((error: unknown) => {
    log.warn({ err: error, queue }, 'Temporal did not say who polls');
    return since;
  });
  if (lastPoll !== null && lastPoll >= since) return null;
  const whose = site === undefined ? 'No worker for this run' : `No worker for site ${site}`;
  // The next poll of a worker with all slots taken comes when one is free.
  return `${whose} since ${lastPoll ?? since}: its next step waits for one. Start one (\`muster up\` or \`muster worker\`); if one runs, all its slots are taken.`;
}

/** By run id; only of open runs whose work does not wait for people. A list of runs does not wait for Temporal. */
export async function workerNotices(
  deps: Deps & Pick<ApiDeps, 'store'>,
  sites: Pick<SiteWatch, 'standstill'>,
  rows: readonly RunRow[],
): Promise<ReadonlyMap<string, string>> {
  const once = askingOnce(deps);
  const busy = rows.filter(({ state }) => !isClosedRun(state) && state !== 'waiting' && state !== 'held');
  const looked = await Promise.all(
    busy.slice(0, mostLooked).map(async (row) => {
      const { runId } = row;
      try {
        const notice = await within(deps.config.queryDeadlineMs, noticeOfRun(once, sites, row));
        return notice === null ? [] : [[runId, notice] as const];
      } catch (error) {
        deps.log.warn({ err: error, runId }, 'Temporal did not say what a run waits for');
        return [];
      }
    }),
  );
  return new Map(looked.flat());
}

/** Many runs wait on few queues: each queue is asked once for all of them. */
function askingOnce<D extends Deps>(deps: D): D {
  const asked = new Map<string, ReturnType<Deps['temporal']['lastPoll']>>();
  const lastPoll: Deps['temporal']['lastPoll'] = (queue, kind) => {
    const key = `${kind} ${queue}`;
    const answer = asked.get(key) ?? deps.temporal.lastPoll(queue, kind);
    asked.set(key, answer);
    return answer;
  };
  return { ...deps, temporal: { ...deps.temporal, lastPoll } };
}

async function noticeOfRun(
  deps: Deps & Pick<ApiDeps, 'store'>,
  sites: Pick<SiteWatch, 'standstill'>,
  { runId, serverId, procedure }: RunRow,
): Promise<string | null> {
  const { temporal, config, store } = deps;
  const isPlan = procedure === 'plan';
  const execution = isPlan
    ? await temporal.findPlan(config.tenantId, runId)
    : await temporal.findRecovery(config.tenantId, runId, serverId);
  if (execution === undefined) return null;
  const places = isPlan ? await store.runs.places(runId) : undefined;
  return standstillOf(deps, sites, places?.sites ?? [], await temporal.progress(execution));
}

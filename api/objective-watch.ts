/**
 * Looks again and again whether open runs will meet their objectives, and has people told of those that will not. Of several
 * processes one does so at a time; the same notice is kept once all the same. Time is Postgres', which all of them share.
 */
import { planAtRisk, runAtRisk, type Rest } from '../model/notify/at-risk';
import type { Notice } from '../model/notify/notice';
import type { TimeLeft } from '../model/estimate/time-left';
import { fewAtOnce } from '../model/few-at-once';
import type { ApiDeps } from './deps';
import { readRun } from './runs/read';
import { createEstimates, type Estimates } from './runs/time-left';

type Deps = Pick<ApiDeps, 'store' | 'temporal' | 'config' | 'clock' | 'log'>;

const everyMs = 60_000;
/** A turn is over a little before the next look, so that one process alone has every one. */
const turnMs = everyMs - 5_000;
const runsAtOnce = 4;

export interface ObjectiveWatch {
  /** Asks once. @throws the store's errors; a run that cannot be read is asked the next time. */
  look(): Promise<void>;
}

export function createObjectiveWatch(deps: Deps): ObjectiveWatch {
  let now = deps.clock();
  const timed: Deps = { ...deps, clock: () => now };
  const estimates = createEstimates(timed);
  /** Those that are kept need not be put again each minute. */
  let told = new Set<string>();
  return {
    async look() {
      const { at, runs } = await deps.store.runs.watched();
      now = new Date(at);
      const found = await fewAtOnce(runs, runsAtOnce, ({ runId, parentRunId }) =>
        atRisk(timed, estimates, runId, parentRunId).catch((error: unknown) => {
          deps.log.warn({ err: error, runId }, 'Whether a run will meet its objectives could not be looked at');
          return [];
        }),
      );
      const notices = found.flat();
      for (const notice of notices) if (!told.has(notice.key)) await deps.store.notifications.put(notice);
      told = new Set(notices.map(({ key }) => key));
    },
  };
}

async function atRisk(deps: Deps, estimates: Estimates, runId: string, parentRunId: string | null): Promise<Notice[]> {
  const reading = await readRun(deps, runId);
  const at = deps.clock().toISOString();
  if (reading.kind === 'server')
    return runAtRisk(parentRunId, reading.view, restOf(await estimates.timeLeft(reading)), at);
  const ends = await estimates.ends(reading).catch(() => null);
  return planAtRisk(parentRunId, reading.view, ends, at);
}

const restOf = (left: TimeLeft | null): Rest | null =>
  left === null || left.ms === null || left.until !== 'proof' ? null : { ms: left.ms, atLeast: left.atLeast };

/** Returns when nothing of it runs any more. */
export function startObjectiveWatch(deps: Deps): { stop(): Promise<void> } {
  const watch = createObjectiveWatch(deps);
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const look = async (): Promise<void> => {
    try {
      if (await deps.store.risks.takeTurn(deps.clock().toISOString(), turnMs, 'objectives')) await watch.look();
    } catch (error) {
      deps.log.warn({ err: error }, 'Objectives at risk are not looked for: the store does not answer');
    }
  };
  const next = (): void => {
    if (!stopped) timer = setTimeout(() => (running = look().finally(next)), everyMs).unref();
  };
  let running = look().finally(next);
  return {
    stop: () => {
      stopped = true;
      clearTimeout(timer);
      return running;
    },
  };
}

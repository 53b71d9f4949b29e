/** Readiness is asked again and again, beside all requests; of several API processes one takes each round. */
import type { KnownServers } from '../known-servers';
import { readinessOf } from '../deps';
import { reconcileSchedules } from '../schedules/reconcile';
import { readinessRound, type RoundDeps } from './round';

export interface Loop {
  /** Starts no more; waits for the round that is under way. */
  stop(): Promise<void>;
}

/** A process that finds that it is another's turn looks again after this share of the time between two rounds. */
const looksPerRound = 4;

export function startReadiness(deps: RoundDeps, servers: KnownServers): Loop {
  const { everyMs } = readinessOf(deps.config);
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  const look = async (): Promise<void> => {
    try {
      if (!(await deps.store.risks.takeTurn(deps.clock().toISOString(), everyMs))) return;
      await reconcileSchedules(deps);
      await readinessRound(deps, servers);
    } catch (error) {
      deps.log.warn({ err: error }, 'Readiness could not be asked; it is asked again');
    }
  };
  const next = (): void => {
    if (stopped) return;
    timer = setTimeout(() => (running = look().finally(next)), everyMs / looksPerRound).unref();
  };
  // A process that starts brings them up to date itself, whoever's turn the round is.
  running = reconcileSchedules(deps).then(look).finally(next);
  return {
    stop: () => {
      stopped = true;
      clearTimeout(timer);
      return running;
    },
  };
}

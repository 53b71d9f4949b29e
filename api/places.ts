/** Where it is what a request names: a server at its recovery site, a run where its order says. */
import { placesOfRecovery, runbooksOf, type Places } from '../model/access';
import { OperatorError } from '../model/errors';
import type { RunEvent } from '../model/events';
import type { ApiDeps } from './deps';
import type { KnownServers } from './known-servers';
import { atSite, ofRunbook, type Reach } from './reach';
import { readRun } from './runs/read';
import { within } from './within';

export type FindPlaces = (reach: Exclude<Reach, string>, named: string) => Promise<Places>;

/** @throws Problem `not-found` as the operation itself would; `part-unavailable` when nobody can say. */
export function findPlaces(deps: ApiDeps, servers: KnownServers): FindPlaces {
  return async (reach, named) => {
    switch (reach.of) {
      case 'server':
        return atSite((await servers.find(named)).recoverySiteId);
      case 'site':
        return atSite(named);
      case 'runbook':
        return ofRunbook(named);
      case 'run':
        return placesOfRun(deps, named);
    }
  };
}

/** By its row; without Postgres, and for runs of earlier versions, by its first event. */
async function placesOfRun(deps: ApiDeps, runId: string): Promise<Places> {
  const row = await within(deps.config.storeDeadlineMs, deps.store.runs.places(runId)).catch(() => undefined);
  if (row !== undefined) return row;
  const { events } = await readRun(deps, runId);
  return placesOfFirst(events[0], runId);
}

function placesOfFirst(event: RunEvent | undefined, runId: string): Places {
  if (event?.kind === 'run-opened') return placesOfRecovery(event.data.order);
  if (event?.kind === 'plan-opened') return { sites: event.data.order.sites, runbooks: runbooksOf(event.data.order) };
  throw new OperatorError({ what: `where run ${runId} is cannot be said`, found: 'a record without its first event' });
}

/** Where it is what a request names: a server at its recovery site, a run where its order says, a runbook where its servers are. */
import { placesOfRecovery, runbooksOf, type NamedPlaces, type Places } from '../model/access';
import { OperatorError } from '../model/errors';
import type { RunEvent } from '../model/events';
import type { ApiDeps } from './deps';
import type { KnownServers } from './known-servers';
import { atSite, type Reach } from './reach';
import type { RunbookPlaces } from './runbooks/places';
import { readRun } from './runs/read';
import { within } from './within';

/** @param version of a runbook; undefined: the newest */
export type FindPlaces = (
  of: Exclude<Reach, string>['of'],
  named: string,
  version?: number,
) => Promise<Places | readonly NamedPlaces[]>;

/** @throws Problem `not-found` as the operation itself would; `part-unavailable` when nobody can say. */
export function findPlaces(deps: ApiDeps, servers: KnownServers, runbooks: RunbookPlaces): FindPlaces {
  return async (of, named, version) => {
    switch (of) {
      case 'server':
        return atSite((await servers.find(named)).recoverySiteId);
      case 'site':
        return atSite(named);
      case 'runbook':
        return runbooks.of(named, version);
      case 'text':
        return runbooks.ofText(named);
      case 'import':
        return runbooks.ofImport(named);
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

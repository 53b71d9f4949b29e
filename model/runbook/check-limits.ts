/** Limits that hold for something: a site or a datastore that is used, by servers of this runbook or of what it includes. */
import { everyServerOf } from '../every-server';
import type { PlanOrder } from '../plan';
import type { RunbookFile } from '../schema/runbook';
import type { Inventory } from './check';
import { place } from './check-servers';
import { problem, warning, type RunbookProblem } from './problems';

/** What its own text tells. With included runbooks their servers count, too: `checkLimitsWithin` knows them. */
export function checkLimits(file: RunbookFile, inventory: Inventory | null): RunbookProblem[] {
  const unused = file.includes.length > 0 ? [] : unusedDatastores(file);
  return [...unused, ...sitesOfLimits(file, inventory)];
}

/**
 * Of a runbook that includes others: limits that no server of the whole tree counts against. Whoever wrote one believes that the site
 * or the datastore is spared.
 */
export function checkLimitsWithin({ limits, includes }: RunbookFile, plan: PlanOrder): RunbookProblem[] {
  if (includes.length === 0) return [];
  const all = everyServerOf(plan);
  const sites = [...new Set(all.map(({ order }) => order.target.siteId))].sort();
  const datastores = [...new Set(all.flatMap(({ datastore }) => datastore ?? []))].sort();
  const inVain = (key: 'sites' | 'boots' | 'datastores', known: readonly string[], kind: string): RunbookProblem[] =>
    Object.keys(limits[key])
      .filter((name) => !known.includes(name))
      .map((name) =>
        problem(
          ['limits', key, name],
          `a limit for ${kind} "${name}" that can never be met: no server of this runbook or of those that it includes counts against it`,
          known.length === 0 ? `a ${kind} that some server names` : `a ${kind} of these servers: ${known.join(', ')}`,
          'Correct the name, or take the limit out.',
        ),
      );
  return [
    ...inVain('sites', sites, 'site'),
    ...inVain('boots', sites, 'site'),
    ...inVain('datastores', datastores, 'datastore'),
  ];
}

function unusedDatastores(file: RunbookFile): RunbookProblem[] {
  const named = new Set(place(file, null).map(({ server }) => server.datastore ?? file.defaults.datastore));
  return Object.keys(file.limits.datastores)
    .filter((name) => !named.has(name))
    .map((name) =>
      warning(['limits', 'datastores', name], `a limit for "${name}"`, 'a datastore that some server names'),
    );
}

function sitesOfLimits(file: RunbookFile, inventory: Inventory | null): RunbookProblem[] {
  const placed = place(file, inventory);
  const used = new Set(placed.flatMap(({ siteId }) => siteId ?? []));
  // Where a server is recovered is not known: any site may be its.
  const isSure = placed.every(({ siteId }) => siteId !== undefined);
  return (['sites', 'boots'] as const).flatMap((key) =>
    Object.keys(file.limits[key]).flatMap((site) => {
      const at = ['limits', key, site];
      if (inventory !== null && !inventory.sites.has(site)) {
        return [problem(at, `site "${site}"`, `one of ${[...inventory.sites.keys()].join(', ')}`)];
      }
      if (!isSure || file.includes.length > 0 || used.has(site)) return [];
      const needed = `a site that servers of this runbook are recovered at: ${[...used].join(', ')}`;
      return [warning(at, `a limit for site "${site}", where no server of this runbook is recovered`, needed)];
    }),
  );
}

/** Limits that hold for something: a site or a datastore that is used, and servers of this runbook. */
import type { RunbookFile } from '../schema/runbook';
import type { Inventory } from './check';
import { place } from './check-servers';
import { problem, warning, type RunbookProblem } from './problems';

export function checkLimits(file: RunbookFile, inventory: Inventory | null): RunbookProblem[] {
  const withoutEffect = ofNobody(file);
  return withoutEffect.length > 0 ? withoutEffect : [...unusedDatastores(file), ...sitesOfLimits(file, inventory)];
}

/** An included runbook is a run of its own: what limits this one is not asked there. */
function ofNobody({ waves, includes, limits }: RunbookFile): RunbookProblem[] {
  if (waves.length > 0) return [];
  const { atOnce, ...bySomething } = limits;
  const given = [
    ...(atOnce === undefined ? [] : [['limits', 'atOnce']]),
    ...Object.entries(bySomething).flatMap(([key, names]) => Object.keys(names).map((name) => ['limits', key, name])),
  ];
  const names = includes.map(({ runbook }) => runbook).join(', ');
  return given.map((at) =>
    warning(
      at,
      `a limit in a runbook whose servers are all in included ones (${names || 'none'}): they obey their own, and this one has no effect`,
      'limits where the servers are',
      'Put it into the included runbooks, or give them an order with `after`.',
    ),
  );
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
      if (!isSure || used.has(site)) return [];
      const needed = `a site that servers of this runbook are recovered at: ${[...used].join(', ')}`;
      return [warning(at, `a limit for site "${site}", where no server of this runbook is recovered`, needed)];
    }),
  );
}

/**
 * Leaving a site: which runbooks recover what stands there, and in which order. Order of tier, the most important first; what a
 * tier needs is in its own tier or in a more important one.
 */
import type { Inclusion, Runbook } from './runbook';

/** What an evacuation has to know of an imported runbook. */
export interface RunbookToChoose extends Pick<Runbook, 'name' | 'tier' | 'direction'> {
  /** The site that it evacuates itself; null where it is no evacuation. */
  readonly evacuates: string | null;
  /** Names of the servers that it recovers itself, and of the runbooks that it includes. */
  readonly servers: readonly string[];
  readonly includes: readonly string[];
}

export interface Evacuation {
  /** In the order in which they run. */
  readonly includes: readonly (Inclusion & Pick<Runbook, 'tier'>)[];
  /** Names of the site's servers that none of them recovers. */
  readonly leftOut: readonly string[];
}

/**
 * Every runbook that recovers a server of the site, itself or by what it includes; one that another of them includes is that one's
 * part already. Failbacks lead back to the site and other evacuations are not parts of this one.
 *
 * @param standing names of the servers that stand at the site
 */
export function evacuationOf(runbooks: readonly RunbookToChoose[], standing: readonly string[]): Evacuation {
  const byName = new Map(runbooks.filter(isChoosable).map((runbook) => [runbook.name, runbook]));
  const recovered = new Map([...byName.keys()].map((name) => [name, serversWithin(name, byName)]));
  const concerned = [...byName.values()].filter(({ name }) => standing.some((one) => recovered.get(name)!.has(one)));
  const parts = new Set(concerned.flatMap(({ name }) => [...runbooksWithin(name, byName)].slice(1)));
  const chosen = concerned
    .filter(({ name }) => !parts.has(name))
    .sort((a, b) => a.tier - b.tier || (a.name < b.name ? -1 : 1));
  return {
    includes: chosen.map(({ name, tier }) => ({ runbook: name, tier, after: tierBefore(chosen, tier) })),
    leftOut: standing.filter((one) => !chosen.some(({ name }) => recovered.get(name)!.has(one))).sort(),
  };
}

const isChoosable = ({ direction, evacuates }: RunbookToChoose): boolean =>
  direction === 'recovery' && evacuates === null;

/** The nearest more important tier: what is more important still comes before that one. */
function tierBefore(chosen: readonly RunbookToChoose[], tier: number): string[] {
  const nearest = Math.max(...chosen.filter((one) => one.tier < tier).map((one) => one.tier));
  return chosen.filter((one) => one.tier === nearest).map(({ name }) => name);
}

/** The runbook first, then all that it includes, at any depth. */
export function runbooksWithin(
  name: string,
  byName: ReadonlyMap<string, Pick<RunbookToChoose, 'includes'>>,
): ReadonlySet<string> {
  const within = new Set([name]);
  // A set is walked with what is added to it meanwhile.
  for (const one of within) byName.get(one)?.includes.forEach((part) => within.add(part));
  return within;
}

function serversWithin(name: string, byName: ReadonlyMap<string, RunbookToChoose>): ReadonlySet<string> {
  return new Set([...runbooksWithin(name, byName)].flatMap((one) => byName.get(one)?.servers ?? []));
}

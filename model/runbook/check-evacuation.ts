/** A runbook that says which site it evacuates: whether it leaves anything there, and whether the important comes first. */
import type { RunbookFile } from '../schema/runbook';
import type { Inventory } from './check';
import { evacuationOf, runbooksWithin, type RunbookToChoose } from './evacuation';
import { followersOf, planGraph, type NodeId } from './graph';
import { unknownName, warning, type RunbookProblem } from './problems';

/** Warnings but for a site that does not exist: whoever leaves a burning site is not kept by what is missing in the plan. */
export function checkEvacuation(file: RunbookFile, inventory: Inventory | null): RunbookProblem[] {
  const { evacuates: site } = file;
  if (site === undefined || inventory === null) return [];
  const sites = [...inventory.servers.values()].flatMap(({ sourceSiteId }) => sourceSiteId ?? []);
  if (!sites.includes(site)) {
    return [unknownName(['evacuates'], site, [...new Set(sites)], 'a site that servers of the inventory stand at')];
  }
  const others = (inventory.choosable ?? []).filter(({ name }) => name !== file.name);
  return [...missing(file, site, others, inventory), ...outOfOrder(file, others)];
}

function missing(
  file: RunbookFile,
  site: string,
  others: readonly RunbookToChoose[],
  { servers }: Inventory,
): RunbookProblem[] {
  const own = new Set(file.waves.flatMap((wave) => wave.servers.map(({ name }) => name)));
  const standing = [...servers.values()].filter(({ sourceSiteId }) => sourceSiteId === site).map(({ name }) => name);
  const evacuation = evacuationOf(
    others,
    standing.filter((name) => !own.has(name)),
  );
  const byName = new Map(others.map((runbook) => [runbook.name, runbook]));
  const included = new Set(file.includes.flatMap(({ runbook }) => [...runbooksWithin(runbook, byName)]));
  const remedy = `Include it; \`muster runbook evacuation ${site}\` prints all of them in order.`;
  const runbooks = evacuation.includes
    .filter(({ runbook }) => !included.has(runbook))
    .map(({ runbook, tier }) =>
      warning(
        ['evacuates'],
        `runbook "${runbook}" (tier ${tier}) of site ${site} is not included`,
        'every runbook of the site',
        remedy,
      ),
    );
  return [...runbooks, ...leftOut(site, evacuation.leftOut)];
}

const named = 5;

function leftOut(site: string, names: readonly string[]): RunbookProblem[] {
  if (names.length === 0) return [];
  const more = names.length > named ? ` and ${names.length - named} more` : '';
  const found = `${names.slice(0, named).join(', ')}${more} of site ${site} in no runbook`;
  const remedy = 'Put them into a runbook, or recover them one by one.';
  return [warning(['evacuates'], found, 'every server of the site in a runbook', remedy)];
}

/** What waits, directly or not, for something less important. */
function outOfOrder(file: RunbookFile, others: readonly RunbookToChoose[]): RunbookProblem[] {
  const tiers = new Map(others.map(({ name, tier }) => [name, tier]));
  const servers = file.waves.flatMap((wave) =>
    wave.servers.map(({ name, after }) => ({ name, after, wave: wave.name })),
  );
  const followers = followersOf(planGraph({ waves: file.waves, servers, includes: file.includes }));
  return file.includes.flatMap(({ runbook: before }) => {
    const behind = new Set<NodeId>(followers.get(`include:${before}`));
    for (const id of behind) followers.get(id)?.forEach((next) => behind.add(next));
    return file.includes.flatMap(({ runbook }, index) => {
      const [first, second] = [tiers.get(before), tiers.get(runbook)];
      if (!behind.has(`include:${runbook}`) || first === undefined || second === undefined || first <= second)
        return [];
      const found = `"${runbook}" (tier ${second}) waits for "${before}" (tier ${first})`;
      const remedy = 'Give what it stands on a tier of its importance, or take the `after` out.';
      return [warning(['includes', index, 'runbook'], found, 'the more important first', remedy)];
    });
  });
}

/** A runbook for leaving a site, from all that are imported: written for a person to read, change and import. */
import { stringify } from 'yaml';
import { evacuationOf, type Evacuation, type RunbookToChoose } from '../../model/runbook/evacuation';
import { runbookFormat } from '../../model/runbook/runbook';
import { notFound, Problem } from '../problems';
import { nearNames } from '../../model/near';
import type { ApiDeps } from '../deps';
import type { EvacuationDocument } from '../schemas/runbooks';
import { readStored } from './stored';

export interface Choosable {
  readonly runbooks: readonly RunbookToChoose[];
  /** Names of those whose texts this version of Muster does not read any more. */
  readonly unreadable: readonly string[];
}

/** Every imported runbook in its newest version. */
export async function choosableRunbooks({ store }: Pick<ApiDeps, 'store'>): Promise<Choosable> {
  const runbooks: RunbookToChoose[] = [];
  const unreadable: string[] = [];
  for (const stored of await store.runbooks.latest()) {
    try {
      const { name, tier, direction, evacuates, servers, includes } = (await readStored(stored)).runbook;
      runbooks.push({
        ...{ name, tier, direction, evacuates },
        servers: servers.map((server) => server.name),
        includes: includes.map(({ runbook }) => runbook),
      });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      unreadable.push(stored.name);
    }
  }
  return { runbooks, unreadable };
}

/** @throws Problem `not-found` for a site that no server stands at; `conflict` where no runbook recovers any of its servers. */
export async function evacuationFor(deps: Pick<ApiDeps, 'store'>, site: string): Promise<EvacuationDocument> {
  const [servers, { runbooks, unreadable }] = await Promise.all([deps.store.servers.list(), choosableRunbooks(deps)]);
  const standing = servers.filter(({ source }) => source.siteId === site).map(({ name }) => name);
  if (standing.length === 0) {
    const sites = [...new Set(servers.map(({ source }) => source.siteId))];
    throw notFound('site that servers stand at', site, nearNames(site, sites));
  }
  const evacuation = evacuationOf(runbooks, standing);
  if (evacuation.includes.length === 0) {
    const words = `No imported runbook recovers any of the ${standing.length} servers of site ${site}. Write and import one for each service first (docs/writing-a-runbook.md)`;
    throw new Problem('conflict', words);
  }
  const includes = evacuation.includes.map(({ runbook, tier, after }) => ({ runbook, tier, after: [...after] }));
  return {
    site,
    text: textOf(site, evacuation),
    includes,
    leftOut: [...evacuation.leftOut],
    unreadable: [...unreadable],
  };
}

function textOf(site: string, { includes, leftOut }: Evacuation): string {
  const file = {
    format: runbookFormat,
    name: `evacuation-of-${site.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`.slice(0, 63).replace(/-+$/, ''),
    title: `Evacuation of ${site}`,
    summary: `All runbooks of site ${site}, in the order of their tiers.`,
    tier: 1,
    evacuates: site,
    includes: includes.map(({ runbook, after }) => ({ runbook, ...(after.length === 0 ? {} : { after }) })),
  };
  const missing = leftOut.map((name) => `# In no runbook: ${name}\n`).join('');
  return `${missing}${stringify(file, { lineWidth: 0 })}`;
}

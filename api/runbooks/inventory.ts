/**
 * What a runbook's names are checked against: servers, people and other runbooks from Postgres, machines from the configuration,
 * networks and hardware from the sites themselves. What does not answer is said, not guessed.
 */
import { isMusterError } from '../../model/errors';
import type { Inventory, InventoryServer, InventorySite } from '../../model/runbook/check';
import type { RunbookFile } from '../../model/schema/runbook';
import type { ServerSpec } from '../../model/server';
import type { RunbookVersion, Store } from '../../store/contract';
import type { ApiDeps } from '../deps';
import { DeadlineError, within } from '../within';
import { choosableRunbooks, type Choosable } from './evacuation';
import { stepsOfServers } from './step-moments';

export interface Asked {
  /** null: Postgres did not answer, so that only what the text itself tells is checked. */
  readonly inventory: Inventory | null;
  readonly servers: readonly ServerSpec[];
  readonly runbooks: readonly RunbookVersion[];
  /** One sentence for each thing that could not be asked. */
  readonly notChecked: readonly string[];
}

type Parts = Pick<ApiDeps, 'store' | 'temporal' | 'config' | 'clock' | 'log'>;

/** Asks for all that the file needs, at once. A part that does not answer is in `notChecked`; nothing is thrown for it. */
export async function askInventory(deps: Parts, file: RunbookFile): Promise<Asked> {
  const { config, clock, log } = deps;
  const stored = await askStore(deps, file).catch((error: unknown) => {
    if (!(error instanceof DeadlineError) && !isMusterError(error)) throw error;
    log.warn({ err: error }, 'A runbook was checked without its installation');
    return error;
  });
  if (stored instanceof Error) {
    const notChecked = [`servers, people, sites and other runbooks: ${stored.message}`];
    return { inventory: null, servers: [], runbooks: [], notChecked };
  }
  const [servers, runbooks, tokens, choosable] = stored;
  const used = usedSites(file, servers).filter((siteId) => config.siteIds.includes(siteId));
  const asked = await Promise.all(used.map((siteId) => askSite(deps, siteId)));
  const programs = programsEverywhere(asked);
  const inventory = {
    servers: new Map(servers.map((server) => [server.name, inventoryServer(server)])),
    sites: new Map([...config.siteIds.map((id) => [id, unknownSite] as const), ...asked.map(({ entry }) => entry)]),
    runbooks: new Map(runbooks.map(({ name, includes }) => [name, includes])),
    choosable: choosable.runbooks,
    ...stepsOfServers(),
    webhooks: config.webhooks ?? null,
    programs,
    people: peopleWithTokens(tokens, clock().toISOString()),
  };
  const unreadable = choosable.unreadable.map((name) => `runbook ${name}: its text cannot be read any more`);
  const notChecked = [
    ...asked.flatMap(({ silent }) => silent),
    ...unreadable,
    ...unasked(file, config.webhooks ?? null, programs),
  ];
  return { inventory, servers, runbooks, notChecked };
}

const nothingToChoose: Choosable = { runbooks: [], unreadable: [] };

/** The texts of all other runbooks are read only for one that evacuates a site. */
function askStore({ store, config }: Parts, { evacuates }: RunbookFile) {
  const choosable = evacuates === undefined ? Promise.resolve(nothingToChoose) : choosableRunbooks({ store });
  const asked = [store.servers.list(), store.runbooks.index(), store.tokens.list(), choosable] as const;
  return within(config.storeDeadlineMs, Promise.all(asked));
}

/** What the file names and no part of this installation can be asked for here. */
function unasked(file: RunbookFile, configured: readonly string[] | null, allowed: readonly string[] | null): string[] {
  const webhooks = file.notify.flatMap((rule) => rule.webhooks);
  const programs = file.scripts.filter(({ on }) => on === 'worker').map(({ program }) => program);
  return [
    ...(webhooks.length === 0 || configured !== null
      ? []
      : [`webhooks ${[...new Set(webhooks)].join(', ')}: whether they are configured`]),
    ...(programs.length === 0 || allowed !== null
      ? []
      : [`programs ${[...new Set(programs)].join(', ')}: whether workers may run them`]),
  ];
}

/** Sites that the file's servers are recovered at, as far as this installation has them. */
function usedSites(file: RunbookFile, servers: readonly ServerSpec[]): string[] {
  const byName = new Map(servers.map((server) => [server.name, server]));
  const named = file.waves.flatMap((wave) =>
    wave.servers.flatMap(({ name, site }) => site ?? file.defaults.site ?? byName.get(name)?.recoverySiteId ?? []),
  );
  return [...new Set(named)];
}

interface AskedSite {
  readonly entry: readonly [string, InventorySite];
  readonly silent: readonly string[];
  /** null: it did not say. */
  readonly programs: readonly string[] | null;
}

const unknownSite: InventorySite = { networks: null, hardware: null };

async function askSite({ temporal, config, log }: Parts, siteId: string): Promise<AskedSite> {
  const machines = config.physicalMachines?.[siteId] ?? [];
  try {
    const { networks, hardware, programs } = await temporal.viewSite(siteId);
    const isolated = new Map(networks.map((network) => [network.name, { isolated: network.isolated }]));
    return { entry: [siteId, { networks: isolated, hardware, machines }], silent: [], programs };
  } catch (error) {
    log.warn({ err: error, siteId }, 'A site did not say what it has');
    const because = error instanceof Error ? error.message : 'unknown';
    return {
      entry: [siteId, { ...unknownSite, machines }],
      silent: [`networks and hardware of site ${siteId}: ${because}`],
      programs: null,
    };
  }
}

/** What a script may name must be allowed at each site; null where one did not say, or there is none to ask. */
function programsEverywhere(asked: readonly AskedSite[]): readonly string[] | null {
  const known = asked.flatMap(({ programs }) => (programs === null ? [] : [programs]));
  if (asked.length === 0 || known.length < asked.length) return null;
  return known[0]!.filter((name) => known.every((programs) => programs.includes(name)));
}

const inventoryServer = ({
  name,
  source,
  recoverySiteId,
  nics,
  tier,
  objectives,
  os,
}: ServerSpec): InventoryServer => ({
  name,
  recoverySiteId,
  sourceSiteId: source.siteId,
  networks: nics.map(({ network }) => network),
  tier,
  objectives,
  os,
});

/** Who could log in at this moment. */
function peopleWithTokens(tokens: Awaited<ReturnType<Store['tokens']['list']>>, now: string): Inventory['people'] {
  const live = tokens.filter(
    ({ revokedAt, expiresAt }) => revokedAt === null && (expiresAt === null || expiresAt > now),
  );
  return new Map(live.map(({ person: { name, role, scopes = [] } }) => [name, { role, scopes }]));
}

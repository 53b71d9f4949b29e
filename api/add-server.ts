/** A new server: what a person says of it, and what a worker of the recovery site reads from the running machine. */
import { v7 as uuidv7 } from 'uuid';
import { printable } from '../model/names';
import { parseSecretRef } from '../model/secrets';
import type { ServerSpec } from '../model/server';
import { serverProblems } from '../model/server-problems';
import type { ApiDeps } from './deps';
import type { KnownServers } from './known-servers';
import { Problem } from './problems';
import type { NewServer } from './schemas/servers';
import type { DiscoveredMachine } from './temporal/sites';
import { within } from './within';

/** Rhythm and points kept when nobody says otherwise: five minutes to go back within, filesystems frozen once in them. */
const defaultCadence = { pointEveryMs: 15_000, freezeEveryMs: 300_000, keepPoints: 20 } as const;

/** @throws Problem `validation` for an unknown site; `conflict` for a taken name or a machine that cannot be protected; as a site does. */
export async function addServer(
  { store, temporal, config }: Pick<ApiDeps, 'store' | 'temporal' | 'config'>,
  servers: KnownServers,
  wanted: NewServer,
): Promise<ServerSpec> {
  refuseUnknownSite(config.siteIds, wanted.recoverySiteId);
  await refuseTakenName(servers, wanted.name);
  const found = await temporal.discoverServer({
    recoverySiteId: wanted.recoverySiteId,
    sourceSiteId: wanted.source.siteId,
    machineName: wanted.source.machineName,
  });
  refuseImpossible(wanted.name, found);
  const server: ServerSpec = { ...found, ...describe(wanted), id: uuidv7() };
  await within(config.storeDeadlineMs, store.servers.save(server));
  await servers.refresh();
  return server;
}

async function refuseTakenName(servers: KnownServers, name: string): Promise<void> {
  const taken = (await servers.list()).find((server) => server.name === name);
  if (!taken) return;
  throw new Problem(
    'conflict',
    `The name "${name}" is taken by server ${taken.id}. Choose another, or remove that server`,
  );
}

function refuseImpossible(name: string, found: DiscoveredMachine): void {
  const problems = serverProblems(found);
  if (problems.length === 0) return;
  throw new Problem(
    'conflict',
    `${name} cannot be protected as it was found: ${problems.map(printable).join('; ')}. Correct the machine at its site`,
  );
}

function describe(wanted: NewServer): Omit<ServerSpec, keyof DiscoveredMachine | 'id'> {
  const { name, tier, objectives, source, recoverySiteId, probes } = wanted;
  const unlockKeys = wanted.unlockKeys?.flatMap((text) => parseSecretRef(text) ?? []);
  return {
    ...{ name, tier, objectives, source, recoverySiteId, probes },
    ...(unlockKeys === undefined ? {} : { unlockKeys }),
    ...(wanted.prepareFor === undefined ? {} : { prepareFor: wanted.prepareFor }),
    cadence: { ...defaultCadence, ...wanted.cadence },
  };
}

/** Without this a misspelt site would be asked for, in vain, until the deadline. */
function refuseUnknownSite(known: readonly string[], siteId: string): void {
  if (known.includes(siteId)) return;
  const message = `is no recovery site that this API is configured with. Known: ${known.join(', ') || 'none'}`;
  throw new Problem('validation', `body.recoverySiteId ${siteId} ${message}`, {
    issues: [{ at: 'body.recoverySiteId', message }],
  });
}

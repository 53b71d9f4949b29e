/** Servers: what is known, and what is added from a running machine. */
import { v7 as uuidv7 } from 'uuid';
import { z } from '@hono/zod-openapi';
import { describeSecretRef, parseSecretRef } from '../../model/secrets';
import { printable } from '../../model/names';
import type { ServerSpec } from '../../model/server';
import { serverProblems } from '../../model/server-problems';
import type { ApiDeps } from '../deps';
import type { KnownServers } from '../known-servers';
import { Problem } from '../problems';
import { atSite, sees } from '../reach';
import { refuseWhileRunning } from '../recoveries/refuse-running';
import { body, json, plain, type Register } from '../register';
import { serverRef } from '../schemas/common';
import { newServerSchema, serverSchema, serversSchema, type NewServer, type ServerDocument } from '../schemas/servers';
import type { DiscoveredMachine } from '../temporal/sites';
import { within } from '../within';

export const serverParam = z.object({
  server: serverRef.openapi({ param: { name: 'server', in: 'path' }, description: 'Id or name' }),
});

/** Rhythm and points kept when nobody says otherwise: five minutes to go back within, filesystems frozen once in them. */
const defaultCadence = { pointEveryMs: 15_000, freezeEveryMs: 300_000, keepPoints: 20 } as const;

export function serverRoutes(register: Register, deps: ApiDeps, servers: KnownServers): void {
  const { store, temporal, config } = deps;

  register(
    'listServers',
    {
      method: 'get',
      path: '/servers',
      summary: 'All servers',
      responses: { 200: json(serversSchema, 'In the order of their names') },
    },
    async (c) => {
      const shown = sees(c.get('person'));
      const all = (await servers.list()).filter(({ recoverySiteId }) => shown(atSite(recoverySiteId)));
      const items = all.sort((a, b) => a.name.localeCompare(b.name));
      return c.json({ items: items.map(documentOf) }, 200);
    },
  );

  register(
    'getServer',
    {
      method: 'get',
      path: '/servers/{server}',
      summary: 'One server',
      request: { params: serverParam },
      responses: { 200: json(serverSchema, 'The server') },
    },
    async (c) => c.json(documentOf(await servers.find(c.req.valid('param').server)), 200),
  );

  register(
    'addServer',
    {
      method: 'post',
      path: '/servers',
      summary: 'Add a server',
      description:
        'Disks, network cards, firmware and operating system are read from the running machine by a worker of the recovery site.',
      request: { body: body(newServerSchema) },
      responses: { 201: json(serverSchema, 'Added') },
    },
    async (c) => {
      const wanted = c.req.valid('json');
      refuseUnknownSite(config.siteIds, wanted.recoverySiteId);
      await refuseTakenName(wanted.name);
      const found = await temporal.discoverServer({
        recoverySiteId: wanted.recoverySiteId,
        sourceSiteId: wanted.source.siteId,
        machineName: wanted.source.machineName,
      });
      refuseImpossible(wanted.name, found);
      const server: ServerSpec = { ...found, ...describe(wanted), id: uuidv7() };
      await within(config.storeDeadlineMs, store.servers.save(server));
      await servers.refresh();
      return c.json(documentOf(server), 201, { location: `/api/v1/servers/${server.id}` });
    },
  );

  register(
    'removeServer',
    {
      method: 'delete',
      path: '/servers/{server}',
      summary: 'Remove a server',
      description: 'Refused while the server is protected or being recovered.',
      request: { params: serverParam },
      responses: { 204: { description: 'Removed' } },
    },
    async (c) => {
      const server = await servers.find(c.req.valid('param').server);
      await refuseWhileInUse(deps, server);
      await within(config.storeDeadlineMs, store.servers.remove(server.id));
      servers.forget(server.id);
      return c.body(null, 204);
    },
  );

  async function refuseTakenName(name: string): Promise<void> {
    const taken = (await servers.list()).find((server) => server.name === name);
    if (!taken) return;
    throw new Problem(
      'conflict',
      `The name "${name}" is taken by server ${taken.id}. Choose another, or remove that server`,
    );
  }
}

function refuseImpossible(name: string, found: DiscoveredMachine): void {
  const problems = serverProblems(found);
  if (problems.length === 0) return;
  throw new Problem(
    'conflict',
    `${name} cannot be protected as it was found: ${problems.map(printable).join('; ')}. Correct the machine at its site`,
  );
}

async function refuseWhileInUse({ temporal, config }: ApiDeps, server: ServerSpec): Promise<void> {
  if (await temporal.sessionRuns(config.tenantId, server.id)) {
    throw new Problem(
      'conflict',
      `Server ${server.name} cannot be removed: it is protected. End its protection first (\`muster protect ${server.name} --remove\`)`,
    );
  }
  await refuseWhileRunning({ temporal, config }, server, 'removed');
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

/** References to secrets are shown as people write them. */
function documentOf({ unlockKeys, ...server }: ServerSpec): ServerDocument {
  return plain<ServerDocument>(
    unlockKeys === undefined ? server : { ...server, unlockKeys: unlockKeys.map(describeSecretRef) },
  );
}

/** Without this a misspelt site would be asked for, in vain, until the deadline. */
function refuseUnknownSite(known: readonly string[], siteId: string): void {
  if (known.includes(siteId)) return;
  const message = `is no recovery site that this API is configured with. Known: ${known.join(', ') || 'none'}`;
  throw new Problem('validation', `body.recoverySiteId ${siteId} ${message}`, {
    issues: [{ at: 'body.recoverySiteId', message }],
  });
}

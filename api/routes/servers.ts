/** Servers: what is known, and what is added from a running machine. */
import { z } from '@hono/zod-openapi';
import { describeSecretRef } from '../../model/secrets';
import type { ServerSpec } from '../../model/server';
import { addServer } from '../add-server';
import type { ApiDeps } from '../deps';
import type { KnownServers } from '../known-servers';
import { Problem } from '../problems';
import { atSite, sees } from '../reach';
import { refuseWhileRunning } from '../recoveries/refuse-running';
import { body, json, plain, type Register } from '../register';
import { serverRef } from '../schemas/common';
import { newServerSchema, serverSchema, serversSchema, type ServerDocument } from '../schemas/servers';
import { within } from '../within';

export const serverParam = z.object({
  server: serverRef.openapi({ param: { name: 'server', in: 'path' }, description: 'Id or name' }),
});

export function serverRoutes(register: Register, deps: ApiDeps, servers: KnownServers): void {
  const { store, config } = deps;

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
      const server = await addServer(deps, servers, c.req.valid('json'));
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
}

async function refuseWhileInUse({ temporal, config }: ApiDeps, server: ServerSpec): Promise<void> {
  if (await temporal.sessionRuns(config.tenantId, server.id)) {
    throw new Problem(
      'conflict',
      `Server ${server.name} cannot be removed: it is protected. End its protection first (\`muster protect ${server.name} --remove --reason …\`)`,
    );
  }
  await refuseWhileRunning({ temporal, config }, server, 'removed');
}

/** References to secrets are shown as people write them. */
function documentOf({ unlockKeys, ...server }: ServerSpec): ServerDocument {
  return plain<ServerDocument>(
    unlockKeys === undefined ? server : { ...server, unlockKeys: unlockKeys.map(describeSecretRef) },
  );
}

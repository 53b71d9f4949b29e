import type { ApiDeps } from '../deps';
import type { KnownServers } from '../known-servers';
import { Problem } from '../problems';
import { atSite, sees } from '../reach';
import { json, plain, type Register } from '../register';
import { viewReplicas } from '../replicas';
import { replicaSchema, replicasSchema, type ReplicaDocument, type ReplicasDocument } from '../schemas/servers';
import { serverParam } from './servers';

export function replicaRoutes(register: Register, deps: ApiDeps, servers: KnownServers): void {
  register(
    'listReplicas',
    {
      method: 'get',
      path: '/replicas',
      summary: 'All replicas: lag, points, state',
      responses: { 200: json(replicasSchema, 'Replicas, and the sites that did not answer') },
    },
    async (c) => {
      const shown = sees(c.get('person'));
      const replicas = await viewReplicas(deps, servers, ({ recoverySiteId }) => shown(atSite(recoverySiteId)));
      return c.json(plain<ReplicasDocument>(replicas), 200);
    },
  );

  register(
    'getReplica',
    {
      method: 'get',
      path: '/servers/{server}/replica',
      summary: 'The replica of one server',
      request: { params: serverParam },
      responses: { 200: json(replicaSchema, 'The replica') },
    },
    async (c) => {
      const server = await servers.find(c.req.valid('param').server);
      const { items, unavailable } = await viewReplicas(deps, servers, ({ id }) => id === server.id);
      const replica = items.find(({ serverId }) => serverId === server.id);
      if (replica) return c.json(plain<ReplicaDocument>(replica), 200);
      const away = unavailable[0];
      if (away) throw new Problem('no-worker', away.because);
      throw new Problem(
        'not-found',
        `Server ${server.name} has no replica. Protect it (\`muster protect ${server.name}\`)`,
      );
    },
  );
}

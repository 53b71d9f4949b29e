/** Protection of a server: its replication session, started and changed by people. */
import { z } from '@hono/zod-openapi';
import type { SessionView } from '../../workflows/messages';
import type { ServerSpec } from '../../model/server';
import type { ApiDeps } from '../deps';
import type { KnownServers } from '../known-servers';
import { Problem } from '../problems';
import { reverseProtection } from '../protection/reverse';
import { body, json, plain, type Register } from '../register';
import { updateIdOf } from '../runs/acts';
import { reasonSchema, sessionSchema } from '../schemas/servers';
import type { UpdateAnswer } from '../temporal/updates';
import { serverParam } from './servers';

const changedSchema = z
  .object({
    pending: z.boolean().openapi({ description: 'Asked for, not reached yet; ask again or look at the replicas' }),
    requestId: z.string(),
    session: sessionSchema.nullable().openapi({ description: 'null: no worker answered' }),
  })
  .openapi('ProtectionState');
type Changed = z.infer<typeof changedSchema>;

const reversedSchema = changedSchema
  .extend({
    source: z
      .object({ siteId: z.string(), machineName: z.string() })
      .openapi({ description: 'Where it is copied from now' }),
    recoverySiteId: z.string(),
  })
  .openapi('ReversedProtection');

const changes = {
  pause: { operation: 'pauseProtection', summary: 'Pause replication' },
  resume: { operation: 'resumeProtection', summary: 'Resume replication' },
  remove: { operation: 'removeProtection', summary: 'End protection and delete the replica' },
} as const;

export function protectionRoutes(register: Register, deps: ApiDeps, servers: KnownServers): void {
  const { temporal, config } = deps;

  register(
    'protectServer',
    {
      method: 'post',
      path: '/servers/{server}/protection',
      summary: 'Protect a server',
      request: { params: serverParam },
      responses: {
        200: json(changedSchema, 'It was protected already'),
        201: json(changedSchema, 'Protection was started'),
      },
    },
    async (c) => {
      const server = await servers.find(c.req.valid('param').server);
      const { tenantId, coreId } = config;
      const { existed } = await temporal.startSession({ tenantId, coreId, server, by: c.get('by') });
      const session = await temporal.session(tenantId, server.id);
      return c.json(state(c.get('requestId'), session), existed ? 200 : 201);
    },
  );

  register(
    'reverseProtection',
    {
      method: 'post',
      path: '/servers/{server}/protection/reverse',
      summary: 'Protect a recovered server the other way',
      description:
        'From where the last committed recovery runs it to where it was before: before a failback, and again after it. What was replicated in the other direction stays for as long as a machine stands on it.',
      request: { params: serverParam, body: body(reasonSchema) },
      responses: {
        200: json(reversedSchema, 'It was protected this way already'),
        201: json(reversedSchema, 'Protection in this direction was started'),
      },
    },
    async (c) => {
      const server = await servers.find(c.req.valid('param').server);
      const push = { server, reason: c.req.valid('json').reason, by: c.get('by'), person: c.get('person') };
      const { server: now, existed } = await reverseProtection(deps, servers, push);
      const session = await temporal.session(config.tenantId, server.id);
      const { source, recoverySiteId } = now;
      return c.json({ ...state(c.get('requestId'), session), source, recoverySiteId }, existed ? 200 : 201);
    },
  );

  for (const change of ['pause', 'resume', 'remove'] as const) {
    register(
      changes[change].operation,
      {
        method: 'post',
        path: `/servers/{server}/protection/${change}`,
        summary: changes[change].summary,
        request: { params: serverParam, body: body(reasonSchema) },
        responses: {
          200: json(changedSchema, 'Done'),
          202: json(changedSchema, 'Asked for; no worker has done it yet'),
        },
      },
      async (c) => {
        const server = await servers.find(c.req.valid('param').server);
        const request = { reason: c.req.valid('json').reason, by: c.get('by') };
        const requestId = c.get('requestId');
        const updateId = updateIdOf(change, request.by.actor.id, requestId);
        const answer = await temporal.changeSession(config.tenantId, server.id, change, request, updateId);
        const session = acceptedSession(answer, server, change);
        if (session) return c.json(state(requestId, session), 200);
        const now = await temporal.session(config.tenantId, server.id);
        return c.json({ ...state(requestId, now), pending: true }, 202);
      },
    );
  }
}

function acceptedSession(
  answer: UpdateAnswer<SessionView>,
  server: ServerSpec,
  change: keyof typeof changes,
): SessionView | undefined {
  switch (answer.kind) {
    case 'accepted':
      return answer.value;
    case 'pending':
      return undefined;
    case 'refused':
      throw new Problem('refused', `${server.name}: ${answer.message}`, { refusal: answer.refusal });
    case 'unknown':
      throw new Problem(
        'conflict',
        `Server ${server.name} is not protected, so there is nothing to ${change}. Protect it first (\`muster protect ${server.name}\`)`,
      );
  }
}

function state(requestId: string, session: SessionView | undefined): Changed {
  return { pending: false, requestId, session: session === undefined ? null : plain<Changed['session']>(session) };
}

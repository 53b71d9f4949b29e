/** Protection of a server: its replication session, started and changed by people. */
import { z } from '@hono/zod-openapi';
import type { SessionView } from '../../workflows/messages';
import type { ServerSpec } from '../../model/server';
import type { ApiDeps } from '../deps';
import type { KnownServers } from '../known-servers';
import { Problem } from '../problems';
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

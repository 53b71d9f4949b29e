import type { ApiDeps } from '../deps';
import type { KnownServers } from '../known-servers';
import { startRecovery } from '../recoveries/start';
import { body, json, type Register } from '../register';
import { idempotencyHeader, newRecoverySchema, startedRecoverySchema } from '../schemas/recoveries';

export function recoveryRoutes(register: Register, deps: ApiDeps, servers: KnownServers): void {
  register(
    'startRecovery',
    {
      method: 'post',
      path: '/recoveries',
      summary: 'Push the button: recover a server',
      description:
        'Starts one run. The same Idempotency-Key returns the same run; while another run recovers the server, the answer is 409 and names it.',
      request: { headers: idempotencyHeader, body: body(newRecoverySchema) },
      responses: {
        200: json(startedRecoverySchema, 'This key had started it already'),
        201: json(startedRecoverySchema, 'Started'),
      },
    },
    async (c) => {
      const wanted = c.req.valid('json');
      const server = await servers.find(wanted.server);
      const key = c.req.valid('header')['idempotency-key'];
      const started = await startRecovery(deps, { wanted, server, key, by: c.get('by') });
      return c.json(started, started.seenBefore ? 200 : 201, { location: `/api/v1/runs/${started.runId}` });
    },
  );
}

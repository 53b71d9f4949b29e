import type { ApiDeps } from '../deps';
import type { KnownServers } from '../known-servers';
import { startCleanUp } from '../recoveries/clean-up';
import { startRecovery } from '../recoveries/start';
import { body, json, type Register } from '../register';
import { runParam } from './runs';
import {
  cleanUpSchema,
  idempotencyHeader,
  newRecoverySchema,
  startedCleanUpSchema,
  startedRecoverySchema,
} from '../schemas/recoveries';

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

  register(
    'cleanUpRehearsal',
    {
      method: 'post',
      path: '/rehearsals/{runId}/clean-up',
      summary: 'Clean up a rehearsal that was ended before it had',
      description:
        'Starts a run of its own that removes whatever has the rehearsal’s tag and proves that nothing is left; harmless where nothing is. Of a plan: one for each server that is not cleaned up, the last first.',
      request: { params: runParam, body: body(cleanUpSchema) },
      responses: {
        200: json(startedCleanUpSchema, 'It is being cleaned up already'),
        201: json(startedCleanUpSchema, 'Started'),
      },
    },
    async (c) => {
      const { runId } = c.req.valid('param');
      const started = await startCleanUp(deps, { runId, reason: c.req.valid('json').reason, by: c.get('by') });
      return c.json(started, started.seenBefore ? 200 : 201, { location: `/api/v1/runs/${started.runId}` });
    },
  );
}

/** Ending the record of a run that Temporal has lost. */
import type { ApiDeps } from '../deps';
import type { Refusals } from '../refusals';
import { body, json, type Register } from '../register';
import { closeRun } from '../runs/close';
import { closedRunsSchema } from '../schemas/runs';
import { reasonSchema } from '../schemas/servers';
import { runParam } from './runs';

export function closeRunRoutes(register: Register, deps: ApiDeps, refusals: Refusals): void {
  register(
    'closeRun',
    {
      method: 'post',
      path: '/runs/{runId}/close',
      summary: 'Close the record of a run that Temporal has lost',
      description:
        'For a run that nothing will end: Temporal lost its data, or it was ended there. It ends as failed, of a plan with all runs below it; nothing is undone, and what it had made stays where it is. What the runs held of replicas is let go; `stillHeld` names those whose site, or whose order, could not be asked, and the same call later does that alone. While Temporal runs it, or a part of it, 409: abort it.',
      request: { params: runParam, body: body(reasonSchema) },
      responses: { 200: json(closedRunsSchema, 'Closed') },
    },
    async (c) => {
      const closing = { deps, refusals, by: c.get('by'), reason: c.req.valid('json').reason };
      return c.json(await closeRun(closing, c.req.valid('param').runId), 200);
    },
  );
}

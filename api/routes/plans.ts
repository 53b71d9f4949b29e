/** Runs of runbooks: started, held, let go on. */
import type { ApiDeps } from '../deps';
import { holdPlan } from '../plans/hold';
import { startPlan, type StartParts } from '../plans/start';
import type { Refusals } from '../refusals';
import { body, json, type Register } from '../register';
import type { Acts } from '../runs/acts';
import { holdSchema, newPlanRunSchema, startedPlanSchema } from '../schemas/plans';
import { idempotencyHeader } from '../schemas/recoveries';
import { runbookParam } from '../schemas/runbooks';
import { actAnswers, contextOf, keyHeader } from './decisions';
import { runParam } from './runs';

export function planRoutes(register: Register, deps: ApiDeps, known: StartParts, acts: Acts, refusals: Refusals): void {
  register(
    'startPlan',
    {
      method: 'post',
      path: '/runbooks/{name}/runs',
      summary: 'Run a runbook: recover or rehearse all that it names',
      description:
        'Starts one run of the text as it is now, pinned by its SHA-256, after checking it again. The same Idempotency-Key returns the same run. The runbook itself may say who may start it.',
      request: { params: runbookParam, headers: idempotencyHeader, body: body(newPlanRunSchema) },
      responses: {
        200: json(startedPlanSchema, 'This key had started it already'),
        201: json(startedPlanSchema, 'Started'),
      },
    },
    async (c) => {
      const { name } = c.req.valid('param');
      const key = c.req.valid('header')['idempotency-key'];
      const push = { name, wanted: c.req.valid('json'), key, by: c.get('by') };
      const started = await startPlan(deps, known, refusals, push);
      return c.json(started, started.seenBefore ? 200 : 201, { location: `/api/v1/runs/${started.runId}` });
    },
  );

  const context = contextOf({ deps, acts, refusals });

  register(
    'holdPlan',
    {
      method: 'post',
      path: '/runs/{runId}/hold',
      summary: 'Hold a plan, a wave or a server: nothing new is started there',
      description: 'What runs, runs to its end. `go-on` ends the hold.',
      request: { params: runParam, headers: keyHeader, body: body(holdSchema) },
      responses: actAnswers,
    },
    async (c) => {
      const act = await holdPlan(context(c), c.req.valid('param').runId, 'hold', c.req.valid('json'));
      return c.json(act, act.state === 'accepted' ? 200 : 202);
    },
  );

  register(
    'letPlanGoOn',
    {
      method: 'post',
      path: '/runs/{runId}/go-on',
      summary: 'Let what is held go on',
      request: { params: runParam, headers: keyHeader, body: body(holdSchema) },
      responses: actAnswers,
    },
    async (c) => {
      const act = await holdPlan(context(c), c.req.valid('param').runId, 'go-on', c.req.valid('json'));
      return c.json(act, act.state === 'accepted' ? 200 : 202);
    },
  );
}

/** People's acts on a run: decisions and abort. Accepted, refused, or pending while no worker runs (design: law 4). */
import { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { ApiDeps, ApiEnv } from '../deps';
import { notFound } from '../problems';
import type { Refusals } from '../refusals';
import { body, json, type Register } from '../register';
import { outcomeOf, updateIdOf, type Acts } from '../runs/acts';
import { abort, decide, type ActContext } from '../runs/decide';
import { readRun } from '../runs/read';
import { actSchema, decisionSchema } from '../schemas/runs';
import type { Execution } from '../temporal/recoveries';
import { reasonSchema } from '../schemas/servers';
import { runParam } from './runs';

/** Of every act of people on a run. */
export const actAnswers = {
  200: json(actSchema, 'Accepted'),
  202: json(actSchema, 'No worker took it in time; it is pending under its request id'),
};
const description =
  'The request id (or Idempotency-Key) names your act: sent again under the same one it is the same act. Refused by the run: 409 with `refusal` and who was first.';
export const keyHeader = z.object({
  'idempotency-key': z
    .string()
    .regex(/^[\x21-\x7e]{8,200}$/, 'needs 8 to 200 printable characters')
    .optional(),
});

/** Who acts, and the name of the act: the key that was sent, else the request's own. */
export const contextOf =
  (parts: Pick<ActContext, 'deps' | 'acts' | 'refusals'>) =>
  (c: Context<ApiEnv>): ActContext => ({
    ...parts,
    by: c.get('by'),
    key: c.req.header('idempotency-key') ?? c.get('requestId'),
  });

const waitForOutcomeMs = 2_000;

export function decisionRoutes(register: Register, deps: ApiDeps, acts: Acts, refusals: Refusals): void {
  const context = contextOf({ deps, acts, refusals });

  register(
    'decide',
    {
      method: 'post',
      path: '/runs/{runId}/decisions',
      summary: 'Decide: retry, skip, provide, approve, commit, roll back, …',
      description,
      request: { params: runParam, headers: keyHeader, body: body(decisionSchema) },
      responses: actAnswers,
    },
    async (c) => {
      const act = await decide(context(c), c.req.valid('param').runId, c.req.valid('json'));
      return c.json(act, act.state === 'accepted' ? 200 : 202);
    },
  );

  register(
    'abortRun',
    {
      method: 'post',
      path: '/runs/{runId}/abort',
      summary: 'Abort a run: it undoes what it did, in reverse',
      description,
      request: { params: runParam, headers: keyHeader, body: body(reasonSchema) },
      responses: actAnswers,
    },
    async (c) => {
      const act = await abort(context(c), c.req.valid('param').runId, c.req.valid('json').reason);
      return c.json(act, act.state === 'accepted' ? 200 : 202);
    },
  );

  register(
    'withdrawAbort',
    {
      method: 'post',
      path: '/runs/{runId}/abort/withdraw',
      summary: 'Take back your abort while it waits for a second pair of eyes',
      description,
      request: { params: runParam, headers: keyHeader, body: body(reasonSchema) },
      responses: actAnswers,
    },
    async (c) => {
      const act = await abort(context(c), c.req.valid('param').runId, c.req.valid('json').reason, true);
      return c.json(act, act.state === 'accepted' ? 200 : 202);
    },
  );

  register(
    'getDecision',
    {
      method: 'get',
      path: '/runs/{runId}/decisions/{requestId}',
      summary: 'What became of an act',
      description: 'Your own act under this request id, or one that this API process was sent and that was pending.',
      request: {
        params: runParam.extend({ requestId: z.string().regex(/^[\x21-\x7e]{1,200}$/, 'needs a request id') }),
      },
      responses: {
        200: json(actSchema.pick({ requestId: true, runId: true, state: true, message: true }), 'Its state now'),
      },
    },
    async (c) => {
      const { runId, requestId } = c.req.valid('param');
      const { execution } = await readRun(deps, runId);
      if (!execution) throw notFound('act', requestId);
      const outcome = await outcomeUnder(deps, execution, [
        ...acts.updateIds(runId, requestId),
        ...(['decide', 'abort', 'withdraw', 'hold', 'go-on'] as const).map((kind) =>
          updateIdOf(kind, c.get('by').actor.id, requestId),
        ),
      ]);
      if (outcome === undefined) throw notFound('act', requestId);
      return c.json({ requestId, runId, ...outcome }, 200);
    },
  );
}

async function outcomeUnder({ temporal }: ApiDeps, execution: Execution, updateIds: readonly string[]) {
  for (const updateId of updateIds) {
    const outcome = outcomeOf(await temporal.updateOutcome(execution, updateId, waitForOutcomeMs));
    if (outcome.state !== 'lost') return outcome;
  }
  return undefined;
}

/** Holding a plan, and letting it go on: an act of people like a decision (design: law 4). */
import type { z } from '@hono/zod-openapi';
import type { HoldPlace } from '../../model/plan';
import { nearNames } from '../../model/near';
import { Problem } from '../problems';
import { finish, runningExecution, type ActContext } from '../runs/decide';
import { updateIdOf } from '../runs/acts';
import { readRun } from '../runs/read';
import type { ActDocument } from '../schemas/runs';
import type { holdSchema } from '../schemas/plans';

/** @throws Problem `refused` in the plan's own words; `validation` for a wave or server that it does not have. */
export async function holdPlan(
  context: ActContext,
  runId: string,
  act: 'hold' | 'go-on',
  { wave, server, reason }: z.infer<typeof holdSchema>,
): Promise<ActDocument> {
  const reading = await readRun(context.deps, runId);
  if (reading.kind !== 'plan') {
    const { name } = reading.view.order.server;
    throw new Problem('validation', `Run ${runId} is of one server, ${name}: only a plan is held. Hold it at its plan`);
  }
  const { waves } = reading.view;
  if (wave !== undefined) requireKnown('wave', wave, waves.map(({ name }) => name)); // prettier-ignore
  const servers = waves.flatMap((one) => one.servers.map(({ name }) => name));
  if (server !== undefined) requireKnown('server', server, servers);
  const updateId = updateIdOf(act, context.by.actor.id, context.key);
  const request = { act, of: placeOf(wave, server), reason, by: context.by };
  const answer = await context.deps.temporal.hold(runningExecution(reading), request, updateId);
  return finish(context, runId, { act, step: null, updateId }, answer);
}

function placeOf(wave: string | undefined, server: string | undefined): HoldPlace {
  if (wave !== undefined) return { kind: 'wave', name: wave };
  return server === undefined ? { kind: 'run' } : { kind: 'server', name: server };
}

function requireKnown(kind: 'wave' | 'server', name: string, known: readonly string[]): void {
  if (known.includes(name)) return;
  const near = nearNames(name, known);
  const has = near.length === 0 ? `. It has ${known.slice(0, 10).join(', ')}` : '';
  const issues = [{ at: `body.${kind}`, message: `is no ${kind} of this plan: ${name}` }];
  throw new Problem('validation', `This plan has no ${kind} "${name}"${has}`, { issues, near });
}

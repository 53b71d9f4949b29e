/** A person's act on a run, from the request to the workflow and back. Whether it is allowed, the workflow alone says. */
import type { z } from '@hono/zod-openapi';
import type { Provenance } from '../../model/order';
import type { ParkingView } from '../../model/run-view';
import type { DecisionAccepted } from '../../workflows/messages';
import type { ApiDeps } from '../deps';
import { nearNames } from '../../model/near';
import { Problem } from '../problems';
import type { Refusals } from '../refusals';
import type { ActDocument, decisionSchema } from '../schemas/runs';
import type { Execution } from '../temporal/recoveries';
import type { UpdateAnswer } from '../temporal/updates';
import { updateIdOf, type Acts } from './acts';
import { readRun, type RunReading } from './read';

export interface ActContext {
  readonly deps: ApiDeps;
  readonly acts: Acts;
  readonly refusals: Refusals;
  readonly by: Provenance;
  /** Names the act: the same one twice of one person is one act. */
  readonly key: string;
}

type Decision = z.infer<typeof decisionSchema>;

/** @throws Problem `refused` with who was first or what is wrong; `validation` for a step that does not exist. */
export async function decide(context: ActContext, runId: string, decision: Decision): Promise<ActDocument> {
  const reading = await readRun(context.deps, runId);
  const execution = runningExecution(reading);
  requireKnownStep(reading, 'body.step', decision.step);
  if (decision.from !== null) requireKnownStep(reading, 'body.from', decision.from);
  const place = placeOf(reading, decision);
  const { step, decision: kind, reason, from, input } = decision;
  const request = { step, ...place, decision: kind, reason, from, input, by: context.by };
  const updateId = updateIdOf('decide', context.by.actor.id, context.key);
  const answer = await context.deps.temporal.decide(execution, request, updateId);
  if (answer.kind === 'accepted') refuseOther(context.key, decision, answer.value);
  return finish(context, runId, { act: kind, step, updateId }, answer);
}

export async function abort(
  context: ActContext,
  runId: string,
  reason: string,
  withdraw = false,
): Promise<ActDocument> {
  const reading = await readRun(context.deps, runId);
  const execution = runningExecution(reading);
  const act = withdraw ? 'withdraw' : 'abort';
  const updateId = updateIdOf(act, context.by.actor.id, context.key);
  const request = { reason, by: context.by, ...(withdraw ? { withdraw: true as const } : {}) };
  const answer = await context.deps.temporal.abort(execution, request, updateId);
  return finish(context, runId, { act, step: null, updateId }, answer);
}

/** Temporal answers a known id with what was accepted under it before, whatever is sent now. */
function refuseOther(key: string, { step, decision, epoch }: Decision, accepted: DecisionAccepted): void {
  if (accepted.step === step && accepted.decision === decision && (epoch ?? accepted.epoch) === accepted.epoch) return;
  throw new Problem(
    'key-reused',
    `Idempotency key "${key}" stands for your ${accepted.decision} at ${accepted.step} (waiting ${accepted.epoch}) already. Use a new key for another act`,
    { runId: accepted.runId },
  );
}

/** What the act's sender is told. */
export function finish(
  { acts, refusals, by, key, deps }: ActContext,
  runId: string,
  { updateId, ...what }: { act: string; step: string | null; updateId: string },
  answer: UpdateAnswer<unknown>,
): ActDocument {
  const act = { requestId: key, runId, ...what, by: by.actor.name, at: deps.clock().toISOString() };
  switch (answer.kind) {
    case 'accepted':
      return { ...act, state: 'accepted', message: standingOf(answer.value) };
    case 'pending':
      return acts.add(act, updateId);
    case 'refused':
      refusals.note(
        `${what.act} on run ${runId}${what.step === null ? '' : `, step ${what.step}`}`,
        answer.message,
        by,
      );
      throw new Problem('refused', answer.message, { refusal: answer.refusal, runId });
    case 'unknown':
      throw closed(runId);
  }
}

/** What an accepted act still waits for: other approvals, a second pair of eyes. */
function standingOf(value: unknown): string | null {
  const standing = typeof value === 'object' && value !== null && 'standing' in value ? value.standing : null;
  return typeof standing === 'string' ? standing : null;
}

/** @throws Problem `refused` for a run that is closed; `part-unavailable` for one that cannot be reached. */
export function runningExecution(reading: RunReading): Execution {
  if (reading.view.closedAt !== null) throw closed(reading.runId, reading.view.state);
  if (reading.execution) return reading.execution;
  throw new Problem(
    'part-unavailable',
    `Run ${reading.runId} cannot be reached: ${reading.notice ?? 'Temporal does not know it'}`,
  );
}

function closed(runId: string, state?: string): Problem {
  const found = state === undefined ? 'it is no longer running' : `it ended as ${state}`;
  return new Problem('refused', `Run ${runId} is closed: ${found}. Nothing can be decided on it any more`, {
    refusal: 'Closed',
    runId,
  });
}

function requireKnownStep({ view }: RunReading, at: string, step: string): void {
  const known = view.steps.map(({ id }) => id);
  if (known.includes(step)) return;
  const near = nearNames(step, known);
  const has = near.length === 0 ? `. Its steps: ${known.join(', ')}` : '';
  throw new Problem('validation', `This run has no step "${step}"${has}`, {
    issues: [{ at, message: `is no step of this run: ${step}` }],
    near,
  });
}

/**
 * Which parking is meant where the request does not say. Epoch 0 is none: the workflow then refuses in its own words,
 * which say what waits instead.
 */
function placeOf({ view }: RunReading, { step, item, epoch }: Decision): { item: string | null; epoch: number } {
  const open = view.parkings.filter((parking) => parking.until === null && parking.step === step);
  const fitting = open.filter(
    (parking) => (epoch === undefined || parking.epoch === epoch) && (item === undefined || parking.item === item),
  );
  if (fitting.length > 1) throw ambiguous(step, fitting);
  return { item: item ?? fitting[0]?.item ?? null, epoch: epoch ?? fitting[0]?.epoch ?? 0 };
}

function ambiguous(step: string, open: readonly ParkingView[]): Problem {
  const items = open.map((parking) => parking.item ?? `parking ${parking.epoch}`).join(', ');
  return new Problem('validation', `Step "${step}" waits for several: ${items}. Say which one ("item")`, {
    issues: [{ at: 'body.item', message: `is needed: ${items}` }],
  });
}

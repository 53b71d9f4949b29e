/**
 * The one wrapper around every effect: heartbeats while it lives, cancellation as an AbortSignal, evidence, times of the
 * worker's clock, and errors turned into the three families that the step runner knows.
 */
import { ApplicationFailure, CancelledFailure, Context } from '@temporalio/activity';
import type { EffectInput, FailureDetails, Outcome } from './contract';
import type { EvidenceRef } from '../model/events';
import type { Effect, Progress } from '../model/steps';
import { describeFacts, isMusterError, PermanentError } from '../model/errors';
import { observed } from './observed';
import { elapsedMs } from './common';
import type { ActivityDeps } from './site';

/** Shorter than a third of the workflow's heartbeat time-out (10 s), so that one slow beat is not a lost worker. */
const beatEveryMs = 2_000;

export interface Attempt {
  readonly effect: Effect;
  /** Aborted by an abort or a rewind of the run, by the worker's shutdown, and when Temporal has given the attempt up. */
  readonly signal: AbortSignal;
  progress(progress: Progress): void;
  /** Keeps a file that proves something; it is recorded with the attempt, also when the attempt fails later. */
  keep(what: string, bytes: Uint8Array, name: string, mediaType: string): Promise<EvidenceRef>;
}

/** A group of effects as it is written: each also gets its attempt. */
export type EffectsOf<A> = {
  [K in keyof A]: A[K] extends (input: infer I) => Promise<infer R>
    ? (input: I, attempt: Attempt) => Promise<R>
    : never;
};
type Registered<A> = {
  [K in keyof A]: A[K] extends (input: infer I) => Promise<infer R> ? (input: I) => Promise<Outcome<R>> : never;
};

/** Wraps a group of effects for registration with a worker. */
export function recorded<A extends { [K in keyof A]: (input: never) => Promise<unknown> }>(
  effects: EffectsOf<A>,
  deps: ActivityDeps,
): Registered<A> {
  const wrapped = Object.entries(effects).map(([name, effect]) => [
    name,
    (input: EffectInput) =>
      observed(name, input, deps, () =>
        runRecorded(effect as (input: EffectInput, attempt: Attempt) => Promise<unknown>, input, deps),
      ),
  ]);
  return Object.fromEntries(wrapped) as Registered<A>;
}

async function runRecorded<T>(
  effect: (input: EffectInput, attempt: Attempt) => Promise<T>,
  input: EffectInput,
  deps: ActivityDeps,
): Promise<Outcome<T>> {
  const startedAt = elapsedMs();
  const evidence: { what: string; evidence: EvidenceRef }[] = [];
  const settled = (): Pick<FailureDetails, 'at' | 'durationMs' | 'worker' | 'evidence'> => {
    const durationMs = elapsedMs() - startedAt;
    return { at: new Date(deps.now()).toISOString(), durationMs, worker: deps.worker.id, evidence };
  };
  return whileBeating(async (beat) => {
    const attempt: Attempt = {
      effect: input.effect,
      signal: Context.current().cancellationSignal,
      progress: beat,
      keep: async (what, bytes, name, mediaType) => {
        const { tenantId, coreId } = input.effect;
        const kept = await deps.evidence.put({ tenantId, coreId }, bytes, name, mediaType);
        evidence.push({ what, evidence: kept });
        return kept;
      },
    };
    try {
      return { result: fitting(await effect(input, attempt)), ...settled() };
    } catch (error) {
      throw asFailure(error, settled());
    }
  });
}

/** Heartbeats with the latest progress until the work has ended; a process that is gone beats no more. */
export async function whileBeating<T>(work: (beat: (progress: Progress) => void) => Promise<T>): Promise<T> {
  const context = Context.current();
  let latest: Progress | null = null;
  const send = (): void => context.heartbeat(latest);
  send();
  const timer = setInterval(send, beatEveryMs);
  try {
    return await work((progress) => {
      latest = progress;
      send();
    });
  } finally {
    clearInterval(timer);
  }
}

/** The failure that reaches the workflow; `category` keeps expected failures out of the worker's error log. */
function asFailure(error: unknown, settled: Pick<FailureDetails, 'at' | 'durationMs' | 'worker' | 'evidence'>): Error {
  const context = Context.current();
  if (context.cancellationSignal.aborted) {
    const shutdown = context.cancellationDetails?.workerShutdown ?? false;
    if (shutdown)
      return ApplicationFailure.create({
        type: 'WorkerShutdown',
        message: 'The worker is stopping.',
        nonRetryable: true,
      });
    return error instanceof CancelledFailure ? error : new CancelledFailure('The attempt was cancelled.');
  }
  const facts = isMusterError(error) ? error.facts : undefined;
  // The remedy stands in a field of its own, where the console and the report show it.
  const message = facts
    ? describeFacts({ ...facts, remedy: undefined })
    : error instanceof Error
      ? error.message
      : String(error);
  const family = isMusterError(error) ? error.family : 'TransientError';
  const detail = facts?.detail ?? (isMusterError(error) || !(error instanceof Error) ? null : (error.stack ?? null));
  const details: FailureDetails = {
    family,
    message: shortened(message),
    remedy: facts?.remedy === undefined ? null : shortened(facts.remedy),
    detail: detail?.slice(-4096) ?? null,
    ...settled,
  };
  return ApplicationFailure.create({
    type: family,
    message: message.slice(0, 2048),
    nonRetryable: true,
    details: [details],
  });
}

/**
 * Limits in characters. Temporal takes 2 MiB as one payload and answers a larger one by trying the same again for ever; a
 * result stands twice in the record, once with its attempt and once with its step.
 */
const longestText = 8 * 1024;
const longestResult = 256 * 1024;

/** Beginning and end, which is where a message says what failed and how the tool ended. */
function shortened(text: string): string {
  if (text.length <= longestText) return text;
  const half = longestText / 2;
  return `${text.slice(0, half)} … ${text.slice(-half)}`;
}

function fitting<T>(result: T): T {
  const size = result === undefined ? 0 : JSON.stringify(result).length;
  if (size <= longestResult) return result;
  throw new PermanentError({
    what: 'the effect was carried out, but its answer is too long for the record',
    found: `${size} characters`,
    needed: `at most ${longestResult}`,
    remedy: 'Report this to the makers of Muster with the server’s disks and operating system; skip the step or abort.',
  });
}

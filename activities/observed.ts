/**
 * A decorator around every attempt of an effect: what is logged meanwhile names run, step and attempt, and the observer is
 * told how it ended. It changes neither what the effect does nor what it answers.
 */
import type { ApplicationFailure } from '@temporalio/activity';
import { whileDoing } from '../programs/log';
import type { EffectInput, FailureDetails, Outcome } from './contract';
import { attemptOutcomes, unobserved, type AttemptOutcome, type Observer } from './observer';
import type { ActivityDeps } from './site';

type Deps = Pick<ActivityDeps, 'now' | 'observer'>;

export function observed<T>(
  activity: string,
  input: EffectInput,
  { now, observer = unobserved }: Deps,
  run: () => Promise<Outcome<T>>,
): Promise<Outcome<T>> {
  const { effect, order } = input;
  const { runId, step, item, attempt, token, undo } = effect;
  const about = { procedure: order.procedure, server: order.server.name, site: order.target.siteId };
  return whileDoing({ runId, step, item, attempt, fencingToken: token, undo, ...about }, async () => {
    const startedAt = now();
    observer.attemptStarted({ effect, order, activity });
    const ended = (outcome: AttemptOutcome, message: string | null): void =>
      observer.attemptEnded({ effect, order, activity, outcome, durationMs: now() - startedAt, message });
    try {
      const answer = await run();
      keptEvidence(observer, answer.evidence);
      ended('succeeded', null);
      return answer;
    } catch (error) {
      const { type, details, message } = error as Partial<ApplicationFailure>;
      keptEvidence(observer, (details?.[0] as FailureDetails | undefined)?.evidence ?? []);
      ended(outcomeOf(type), message ?? String(error));
      throw error;
    }
  });
}

/** The wrapper around the effect makes one of these types; a failure without one is a cancellation. */
function outcomeOf(type: string | null | undefined): AttemptOutcome {
  return attemptOutcomes.find((outcome) => outcome === type) ?? 'Cancelled';
}

function keptEvidence(observer: Observer, evidence: Outcome<unknown>['evidence']): void {
  for (const { evidence: file } of evidence) observer.evidenceKept(file.sizeBytes);
}

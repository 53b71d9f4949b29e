/** Questions to running workflows. */
import { setTimeout as sleep } from 'node:timers/promises';
import { askedTooEarly } from '../../workflows/messages';
import type { TemporalContext } from '../temporal';
import { asProblem, isNotFound, isUnanswered } from './errors';

/** The task that comes first waits already. */
const betweenMs = 100;

/**
 * The workflow's own answer; undefined when no worker gave one in time or Temporal no longer has it. Asked again where the question
 * overtook what has happened to the run (workflows/early-queries.ts), within the same deadline.
 */
export async function answered<T>(
  { client, queryDeadlineMs }: Pick<TemporalContext, 'client' | 'queryDeadlineMs'>,
  ask: () => Promise<T>,
): Promise<T | undefined> {
  const deadline = Date.now() + queryDeadlineMs;
  for (;;) {
    try {
      return await client.withDeadline(deadline, ask);
    } catch (error) {
      if (isUnanswered(error) || isNotFound(error)) return undefined;
      if (!(error instanceof Error) || !error.message.includes(askedTooEarly)) throw asProblem(error);
      if (Date.now() + betweenMs >= deadline) return undefined;
      await sleep(betweenMs);
    }
  }
}

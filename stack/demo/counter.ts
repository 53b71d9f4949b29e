/** What the service in the demo's server app01 says of itself. */
import type { Platform } from '../../platforms/contract';
import { answerOf, untilAnswered } from './guest-answer';

export const sourceName = 'app01';

export interface CounterStatus {
  /** The last number that the service found when it started. */
  readonly recovered: number;
  readonly current: number;
  readonly chain: string;
}

/** Undefined while it does not answer. */
export async function counter(platform: Platform): Promise<CounterStatus | undefined> {
  const answer = await answerOf(platform, sourceName, '/usr/local/bin/counter-status');
  return answer === undefined ? undefined : (JSON.parse(answer) as CounterStatus);
}

/** Ends when the guest's agent runs a program and the service answers. */
export function waitForCounter(platform: Platform): Promise<CounterStatus> {
  return untilAnswered(sourceName, () => counter(platform));
}

/** What people are told of a run that no worker can go on with (api/temporal/failing.ts). */
import type { Notice } from './notice';
import { facts, type NoticeContext } from './notices';

export interface Failing {
  /** UTC, by Temporal's clock. */
  readonly since: string;
  /** What its workers say. */
  readonly cause: string;
}

const remedy =
  'Put the version of Muster back that its workers had before, if it was changed; otherwise see “A run that no worker can go on with” in docs/operating.md.';

const standsStill = ({ since, cause }: Failing): string =>
  `since ${since}: ${cause.replace(/[\s.!]+$/, '')}. It stands still.`;

/** Where the run itself is shown. */
export const failingWords = (failing: Failing): string =>
  `No worker can go on with it ${standsStill(failing)} ${remedy}`;

/** Beside what waits for people. */
export function failingRunsWords(
  runs: readonly (Failing & { readonly runId: string; readonly name: string })[],
): string {
  const said = runs
    .slice(0, mostNamed)
    .map((one) => `No worker can go on with run ${one.runId} (${one.name}) ${standsStill(one)}`);
  const more = runs.length - said.length;
  return [...said, ...(more > 0 ? [`So it is with ${more} more.`] : []), remedy].join(' ');
}

const mostNamed = 3;

/** Of each time that it comes to a standstill. */
export const failingKey = (runId: string, { since }: Pick<Failing, 'since'>): string => `${runId}/failing/${since}`;

export function failingNotice(context: NoticeContext, failing: Failing): Notice {
  const { since } = failing;
  const cause = `No worker can go on with it ${standsStill(failing)}`;
  const about = facts(context, since, { cause, remedy });
  return { key: failingKey(context.runId, failing), epoch: 0, stage: 0, occasion: 'stuck', facts: about };
}

/**
 * What is refused at the door, into the installation's own chain: best-effort, because a refusal must not wait for
 * Postgres, and limited, because anybody can be refused as often as they like.
 */
import type { Provenance } from '../model/order';
import type { ApiDeps } from './deps';

export interface Refusals {
  note(what: string, because: string, by: Provenance): void;
}

const perMinute = 60;

export function recordRefusals({ store, clock, log }: Pick<ApiDeps, 'store' | 'clock' | 'log'>): Refusals {
  let minute = 0;
  let noted = 0;
  let leftOut = 0;
  return {
    note(what, because, by) {
      const at = clock();
      const now = Math.floor(at.getTime() / 60_000);
      if (now !== minute) [minute, noted] = [now, 0];
      if (++noted > perMinute) {
        leftOut++;
        return;
      }
      const more = leftOut === 0 ? '' : ` (${leftOut} earlier refusals were not recorded one by one)`;
      leftOut = 0;
      store.journal
        .refuse({
          kind: 'decision-refused',
          at: at.toISOString(),
          by,
          step: null,
          item: null,
          attempt: null,
          data: { decision: what, because: because + more },
        })
        .catch((error: unknown) => log.warn({ err: error, what, because, by }, 'A refusal could not be recorded'));
    },
  };
}

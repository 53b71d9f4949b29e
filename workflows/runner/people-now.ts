/**
 * Whether people still may do here what they did a while ago, by what the store says of them now. A run must not hang on it: where
 * Postgres does not answer in seconds, what the record says counts, and that is said (law 5).
 */
import { CancellationScope, patched, proxyActivities } from '@temporalio/workflow';
import type { PeopleActivities, PersonNow } from '../../activities/contract';
import { holdsAt, isAmong, mayAct, type Places } from '../../model/access';
import type { People } from '../../model/runbook/runbook';
import { journalQueue } from '../messages';

const { readPeople } = proxyActivities<PeopleActivities>({
  taskQueue: journalQueue,
  startToCloseTimeout: '3s',
  scheduleToCloseTimeout: '8s',
  retry: { maximumAttempts: 2, initialInterval: '500ms' },
});

/** null: Postgres did not answer. A decision's handler has the scope of the whole run, which Temporal's own cancel ends for good. */
export function peopleNow(ids: readonly string[]): Promise<PersonNow[] | null> {
  const read = (): Promise<PersonNow[]> => readPeople({ ids });
  // Earlier versions did not ask any more then.
  const answer = patched('looks-up-though-cancelled') ? CancellationScope.nonCancellable(read) : read();
  return answer.catch(() => null);
}

/** Why who was among `who` is not any more; null: still is. `who` null: whoever the door lets in. */
export function whyNot(who: People | null, places: Places, person: PersonNow | undefined): string | null {
  if (person === undefined) return 'nobody of this id is known any more';
  if (!person.mayEnter) return 'all tokens of this person were revoked';
  // Earlier versions counted who is named, whatever their role. By person, because one run may have done both.
  if (!mayAct(person.role) && patched(`only-reads-${person.id}`))
    return `the role is ${person.role} now, which may not act`;
  if (!holdsAt(person.scopes, places)) return 'the role does not hold here any more';
  return who === null || isAmong(who, person) ? null : `the role is ${person.role} now`;
}

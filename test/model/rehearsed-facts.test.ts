/** What a rehearsal showed of its clean-up, event by event. */
import { nextRehearsed, type RehearsedFacts } from '../../model/rehearsed-facts';
import { event } from '../store/run-events';

const nothing: RehearsedFacts = { isolation: null, clean: null };
const succeeded = (step: string, item: string | null, result: unknown, undo = false) =>
  event('attempt-succeeded', { token: 1, undo, result, durationMs: 1 }, { step, item });
const failure = { family: 'OperatorError' as const, message: 'it said no', remedy: null, detail: null };

test('what the comparison notes without asking anybody is kept beside its verdict', () => {
  const noted = 'Nobody is asked about replication that stands still.';
  const compared = nextRehearsed(nothing, succeeded('survey', null, { rows: [], noted }, true));
  expect(compared.clean).toMatchObject({ verdict: 'clean', because: noted });
  expect(nextRehearsed(nothing, succeeded('survey', null, { rows: [] }, true)).clean?.because).toBeNull();
});

test('a script beside the comparison is not the comparison, whether it works or not', () => {
  const compared = nextRehearsed(nothing, succeeded('prove-clean', null, { rows: [] }));
  expect(compared.clean).toMatchObject({ verdict: 'clean', items: 0 });
  const told = nextRehearsed(compared, succeeded('prove-clean', 'script:tell', { exitCode: 0, meaning: 'done' }));
  expect(told.clean).toEqual(compared.clean);
  const failed = event('attempt-failed', { token: 1, undo: false, failure, nextDelayMs: null });
  expect(nextRehearsed(told, { ...failed, step: 'prove-clean', item: 'script:tell' }).clean).toEqual(compared.clean);
  expect(nextRehearsed(told, { ...failed, step: 'prove-clean' }).clean).toMatchObject({ verdict: 'not clean' });
  expect(nextRehearsed(nothing, succeeded('survey', 'script:tell', { rows: [] }, true)).clean).toBeNull();
});

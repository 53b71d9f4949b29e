/** What a problem says, and to whom it says less. */
import { Problem, problemDocument, withoutNear } from '../../api/problems';

test('who is told no near names reads all of the rest, and the log keeps the cause', () => {
  const cause = new Error('as Temporal said it');
  const extras = { near: ['data', 'date'], missing: 'wave', runId: 'r-1' };
  const problem = new Problem('not-found', 'Runbook shop has no wave "dat"', extras, { cause });
  const { near: _, ...seen } = problemDocument(problem, 'id');
  const told = withoutNear(problem);
  expect(told.cause).toBe(cause);
  expect(problemDocument(told, 'id')).toEqual({ ...seen, detail: 'Runbook shop has no wave "dat"' });
  expect(seen.detail).toBe('Runbook shop has no wave "dat". Perhaps you meant data or date');
});

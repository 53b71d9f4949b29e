/** What Temporal's client throws while Temporal is away, as people are told of it. */
import { asProblem, isUnanswered } from '../../api/temporal/errors';

/** Of gRPC (grpc.io/docs/guides/status-codes). */
const status = { CANCELLED: 1, DEADLINE_EXCEEDED: 4, NOT_FOUND: 5, UNAVAILABLE: 14 };

/** As the client wraps it: the cause is what gRPC says. */
const failed = (code: number, details: string): Error =>
  new Error('Failed to query Workflow', {
    cause: Object.assign(new Error(`${code} ${details}`), { code, details, metadata: {} }),
  });

test.each([
  ['unreachable', failed(status.UNAVAILABLE, 'No connection established')],
  ['late', failed(status.DEADLINE_EXCEEDED, 'Deadline exceeded')],
  ['given up while it was tried again', failed(status.CANCELLED, 'Call cancelled')],
])('a call that is %s is a part that does not answer, never a fault of Muster', (_what, error) => {
  expect(asProblem(error)).toMatchObject({ kind: 'part-unavailable' });
});

test('a query that was given up has no answer', () => {
  expect(isUnanswered(failed(status.CANCELLED, 'Call cancelled'))).toBe(true);
  expect(isUnanswered(failed(status.NOT_FOUND, 'workflow not found'))).toBe(false);
});

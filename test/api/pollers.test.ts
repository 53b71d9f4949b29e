/** Which workers poll a queue, whatever the clocks of Temporal and of this host say. */
import { rememberPollers } from '../../api/temporal/pollers';

const minute = 60_000;
const poll = (identity: string, at: string) => ({ identity, at: `2020-01-01T${at}.000Z` });

test('a worker counts as long as it polls anew, however far its time is from this host’s', () => {
  let nowMs = 0;
  const pollers = rememberPollers(() => nowMs);
  const count = (...polls: ReturnType<typeof poll>[]): number => pollers.count('activity site:a', polls, 70_000);
  expect(count(poll('w1', '10:00:00'), poll('w2', '10:00:01'))).toBe(2);
  nowMs += minute;
  // Temporal's clock was set back meanwhile.
  expect(count(poll('w1', '09:00:00'), poll('w2', '10:00:01'))).toBe(2);
  nowMs += minute;
  expect(count(poll('w1', '09:01:00'), poll('w2', '10:00:01'))).toBe(1);
  nowMs += 2 * minute;
  expect(count(poll('w1', '09:01:00'), poll('w2', '10:00:01'))).toBe(0);
  expect(count(poll('w2', '09:04:00'))).toBe(1);
  expect(count()).toBe(0);
});

test('queues are counted apart', () => {
  let nowMs = 0;
  const pollers = rememberPollers(() => nowMs);
  expect(pollers.count('a', [poll('w1', '10:00:00')], 70_000)).toBe(1);
  nowMs += 2 * minute;
  expect(pollers.count('b', [poll('w1', '10:00:00')], 70_000)).toBe(1);
  expect(pollers.count('a', [poll('w1', '10:00:00')], 70_000)).toBe(0);
});

import fc from 'fast-check';
import { backoffDelayMs, delayAfterFailures } from '../../model/backoff';
import type { FailureFamily } from '../../model/backoff';

const policy = { maxAttempts: 4, firstDelayMs: 2_000, factor: 2, maxDelayMs: 5_000 };
const anyPolicy = fc.record({
  maxAttempts: fc.integer({ min: 1, max: 2_000 }),
  firstDelayMs: fc.nat(60_000),
  factor: fc.double({ min: 1, max: 10, noNaN: true }),
  maxDelayMs: fc.nat(600_000),
});

describe('back-off', () => {
  test('delays grow by the factor up to the cap, and end with the budget', () => {
    expect([1, 2, 3, 4].map((n) => backoffDelayMs(policy, n, 'TransientError'))).toEqual([2_000, 4_000, 5_000, null]);
  });

  test.each(['PermanentError', 'OperatorError', 'Cancelled'] as const)(
    '%s is never tried again by itself',
    (family) => {
      expect(backoffDelayMs(policy, 1, family)).toBeNull();
    },
  );

  test('every delay is a whole number between nothing and the cap, and none is shorter than the one before', () => {
    fc.assert(
      fc.property(anyPolicy, fc.integer({ min: 1, max: 1_500 }), (any, n) => {
        const delay = backoffDelayMs({ ...any, maxAttempts: 2_000 }, n, 'TransientError')!;
        expect(Number.isSafeInteger(delay)).toBe(true);
        expect(delay).toBeGreaterThanOrEqual(0);
        expect(delay).toBeLessThanOrEqual(any.maxDelayMs);
        expect(backoffDelayMs({ ...any, maxAttempts: 2_000 }, n + 1, 'TransientError')).toBeGreaterThanOrEqual(delay);
      }),
    );
  });

  test('the automatic attempts of an item are exactly the budget when no worker is lost', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), (maxAttempts) => {
        const failures: FailureFamily[] = [];
        while (delayAfterFailures({ ...policy, maxAttempts }, failures) !== null) failures.push('TransientError');
        expect(failures).toHaveLength(maxAttempts);
      }),
    );
  });

  test('a lost worker costs no budget', () => {
    const lost: FailureFamily[] = ['TransientError', 'LostWorker', 'TransientError', 'LostWorker', 'LostWorker'];
    expect(delayAfterFailures(policy, lost)).toBe(2_000);
    expect(delayAfterFailures(policy, [...lost, 'TransientError'])).toBe(5_000);
  });

  test('three lost workers in a row park the step, two and two do not', () => {
    expect(delayAfterFailures(policy, ['LostWorker', 'LostWorker', 'LostWorker'])).toBeNull();
    expect(
      delayAfterFailures(policy, ['LostWorker', 'LostWorker', 'TransientError', 'LostWorker', 'LostWorker']),
    ).not.toBeNull();
  });
});

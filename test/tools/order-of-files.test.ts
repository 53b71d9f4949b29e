/** The order in which test files are handed out. */
import { orderFiles, secondsOf } from '../support/order-of-files';

const file = (name: string, seconds: number, failed = false) => ({ path: `/x/test/${name}.test.ts`, seconds, failed });
const names = (files: readonly { path: string }[]) => files.map(({ path }) => path.slice(8, -8));

test('the longest come first, and what failed last time before them', () => {
  const files = [file('a', 1), file('b', 9), file('c', 5), file('d', 2, true)];
  expect(names(orderFiles(files, 2))).toEqual(['d', 'b', 'c', 'a']);
});

test('of three workers two at most have guests while there is anything else', () => {
  const files = [file('g1.guest', 90), file('g2.guest', 80), file('g3.guest', 70), file('s1.slow', 30), file('q', 1)];
  expect(names(orderFiles(files, 3))).toEqual(['g1.guest', 'g2.guest', 's1.slow', 'q', 'g3.guest']);
});

test('with guests alone every worker has one, and nothing is lost', () => {
  const files = Array.from({ length: 7 }, (_, at) => file(`g${at}.guest`, 10 + at));
  expect(names(orderFiles(files, 3)).sort()).toEqual(names(files).sort());
});

test('a file is as long as jest measured it, else as is known of it or of its kind', () => {
  const path = '/x/test/system/three-tier.guest.test.ts';
  expect(secondsOf(path, 1500)).toBe(1.5);
  expect(secondsOf(path)).toBeGreaterThan(secondsOf('/x/test/some.guest.test.ts'));
  expect(secondsOf('/x/test/some.slow.test.ts')).toBeGreaterThan(secondsOf('/x/test/some.test.ts'));
});

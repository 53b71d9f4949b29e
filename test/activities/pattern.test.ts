import { matchesInTime } from '../../activities/pattern';

test('a pattern matches as a regular expression does', () => {
  expect(matchesInTime('^counter: \\d+', 'counter: 12\n')).toBe(true);
  expect(matchesInTime('"chain":"ok"', '{"chain":"broken"}')).toBe(false);
});

test('a pattern that would take for ever is stopped, and the process goes on', () => {
  expect(matchesInTime('^(a+)+$', `${'a'.repeat(64)}!`, 100)).toBe('too-slow');
});

test('what is no pattern throws, and the text cannot reach the process', () => {
  expect(() => matchesInTime('[', 'x')).toThrow(/Invalid regular expression/);
  expect(matchesInTime('x', "'); process.exit(1); ('")).toBe(true);
});

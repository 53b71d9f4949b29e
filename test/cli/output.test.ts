/** Tables and bars on narrow terminals. */
import { table, wrap } from '../../cli/output';
import { progressLine } from '../../cli/watch/progress';
import { longestLine } from './muster';

const columns = [
  { title: '#', width: 2, right: true },
  { title: 'step', width: 20 },
  { title: 'time', width: 12, right: true },
  { title: 'note', width: 16, grows: true },
];

test('columns keep two spaces between them and the last one wraps within the width', () => {
  const text = table({ width: 60 }, columns, [
    ['13', 'suspend-replication', '12 min 03 s', 'This operating system has no registry'],
  ]);
  expect(text).toBe(
    [
      ' #  step                          time  note',
      '13  suspend-replication    12 min 03 s  This operating',
      '                                        system has no',
      '                                        registry',
    ].join('\n'),
  );
});

test('control characters of a guest never reach the terminal', () => {
  const escape = String.fromCharCode(27);
  const text = table({ width: 80 }, columns, [['1', `a${escape}[2Jb`, '', `${escape}]0;title\u0007c`]]);
  expect(text).not.toContain(escape);
  expect(text).toContain('ab');
});

test('a word that is longer than its column is cut, not let out', () => {
  expect(wrap('aaaaaaaaaa bb', 4)).toEqual(['aaaa', 'aaaa', 'aa', 'bb']);
});

test('a bar says share, amounts, rate and time left, and drops amounts before it is too long', () => {
  const progress = { label: 'Copying disk0', done: 1024 ** 3, total: 2 * 1024 ** 3, unit: 'bytes' } as const;
  const full = { ...progress, ratePerSecond: 1024 ** 2, timeLeftMs: 15_000 };
  expect(progressLine(full, 100)).toBe(
    '  Copying disk0 ██████████░░░░░░░░░░ 50 %, 1 GiB of 2 GiB, 1 MiB/s, 15.0 s left',
  );
  expect(progressLine(full, 70)).toBe('  Copying disk0 ██████████░░░░░░░░░░ 50 %, 1 MiB/s, 15.0 s left');
  for (const width of [40, 60, 80]) expect(longestLine(progressLine(full, width))).toBeLessThanOrEqual(width);
});

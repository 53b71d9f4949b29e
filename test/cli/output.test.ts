/** Tables and bars on narrow terminals. */
import { execFileSync } from 'node:child_process';
import { commandLines, table, wrap } from '../../cli/output';
import { standingLines } from '../../cli/show-run';
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

test('a command that takes two lines is one command for the shell that it is copied into', () => {
  const command = "muster provide 8a128213 --step prove-boot --set FIELD=VALUE --reason 'made-room'";
  const text = commandLines({ width: 80 }, '  decide', command);
  expect(longestLine(text)).toBeLessThanOrEqual(80);
  const copied = text.replace('  decide', '        ');
  const words = (script: string) =>
    execFileSync('sh', ['-c', `muster() { printf '%s\\n' "$@"; }\n${script}`], { encoding: 'utf8' });
  expect(words(copied)).toBe(words(command));
  expect(words(copied)).toContain('\nmade-room\n');
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

test('the first of two decisions stands there as the second has to type it', () => {
  const input = { inoculate: false, networks: { lan: 'dr-lan', dmz: 'dr-dmz' } };
  const half = { by: { id: 'a', name: 'Anna' }, at: '', reason: 'has the drivers', decision: 'retry' as const };
  expect(standingLines({ width: 200 }, { half: { ...half, from: 'inoculate', input } }).join(' ')).toContain(
    'retry --from inoculate --set inoculate=false --set networks=lan=dr-lan,dmz=dr-dmz by Anna: has the drivers;',
  );
  expect(standingLines({ width: 200 }, { half: { ...half, from: null, input: null } }).join(' ')).toContain(
    'retry by Anna',
  );
});

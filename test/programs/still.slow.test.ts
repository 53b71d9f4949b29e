/** Programs that do nothing any more, against such as only say nothing or only wait between two words. */
import { tmpdir } from 'node:os';
import { runGroup } from '../../programs/group';
import { isRunning } from '../support/processes';

const uncounted = /^\[ *\d+\.\d{6}\]/;
const complaint = /detected stalls/;
const run = (script: string, forMs = 4_000) =>
  runGroup('/bin/sh', ['-c', script], {
    ...{ cwd: tmpdir(), env: { PATH: '/usr/bin:/bin' }, timeoutMs: 120_000 },
    ...{ limits: { memoryBytes: 2 ** 30, processorSeconds: 60 }, keepBytes: 64_000 },
    still: { forMs, uncounted, complaint },
  });

test('who neither says a word nor works is ended, with all that it started', async () => {
  const end = await run('sleep 600 & echo $!; wait');
  expect(end).toMatchObject({ exitCode: null, signal: 'SIGTERM', timedOut: false, wasStill: true });
  expect(await isRunning(end.stdout.head.toString().trim())).toBe(false);
});

test('is found also where a look takes longer than it is until the next', async () => {
  const end = await run('sleep 600', 20);
  expect(end).toMatchObject({ exitCode: null, timedOut: false, wasStill: true });
});

test('a line that does not count is no sign of life', async () => {
  const end = await run('while sleep 1; do echo "[   33.653726] sd 2:0:0:0: [sda]"; done');
  expect(end).toMatchObject({ exitCode: null, timedOut: false, wasStill: true });
});

test('nor is work of somebody who only complains', async () => {
  const busy = 'while :; do seq 100000 >/dev/null';
  const end = await run(`${busy}; echo "[   33.653726] rcu: INFO: rcu_preempt detected stalls"; done`);
  expect(end).toMatchObject({ exitCode: null, timedOut: false, wasStill: true });
});

test('who works in silence is left alone', async () => {
  const end = await run(
    'end=$(($(date +%s) + 12)); while [ "$(date +%s)" -lt $end ]; do seq 10000 >/dev/null; done; exit 7',
  );
  expect(end).toMatchObject({ exitCode: 7, wasStill: false });
});

test('who says a word from time to time is left alone', async () => {
  const end = await run('for i in 1 2 3 4 5 6 7 8; do sleep 1; echo "guestfsd: $i" >&2; done; exit 7', 5_000);
  expect(end).toMatchObject({ exitCode: 7, wasStill: false });
});

/** What is known of a guest whose agent does not answer, and who thaws it then (libvirt.guest freezes a real one). */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { thawLeftover, whileFrozen } from '../../replication/libvirt-freeze';
import type { Virsh } from '../../replication/virsh';
import { until } from '../support/plan-runs';
import { fakeVirsh } from './support/fake-virsh';

const { at, does } = fakeVirsh();

/** Of the watchdog: says each time what libvirt 9.0 says; after that it has `thawed`. */
function watchdogHears(...said: string[]): void {
  writeFileSync(at('said'), said.map((line) => `${line}\n`).join(''));
  does(`echo "$4" >> ${at('calls')}
now=$(sed -n "$(wc -l < ${at('calls')})p" ${at('said')})
[ -z "$now" ] && touch ${at('thawed')} && exit 0
echo "error: $now" >&2; exit 1
`);
}
const calls = () => (existsSync(at('calls')) ? readFileSync(at('calls'), 'utf8').split('\n').length - 1 : 0);

const silent = 'Guest agent is not responding: Guest agent not available for now';
/** A guest that answers these commands, by their first words. */
const guest =
  (answers: Record<string, string | undefined>): Virsh =>
  async ([command, _machine, ...words]) => {
    const asked =
      command === 'qemu-agent-command' ? (JSON.parse(words.at(-1)!) as { execute: string }).execute : command!;
    const answer = answers[asked];
    if (answer === undefined) throw new Error(silent);
    return answer;
  };
const status = (is: string) => ({ 'guest-fsfreeze-status': JSON.stringify({ return: is }) });

test.each([
  ['a guest that says so', status('thawed'), true],
  ['one that is told to', { ...status('frozen'), domfsthaw: '' }, true],
  ['not one that does not do it', status('frozen'), false],
  ['not one that does not answer', {}, false],
])('known to be thawed is %s', async (_which, answers, known) => {
  expect(await thawLeftover(guest(answers), 'app01')).toBe(known);
});

const frozenFor = (answers: Record<string, string>, limitMs = 100) =>
  whileFrozen(guest(answers), 'test:///default', 'app01', async () => 'a point', { limitMs, againMs: 50 });

test('a guest of which neither freeze nor thaw is known may be frozen, and is told to thaw until it hears', async () => {
  watchdogHears(silent, silent, 'Timed out during operation: cannot acquire state change lock (held by agent=x)');
  expect(await frozenFor({})).toEqual({ result: 'a point', frozen: false, leftFrozen: true });
  await until(async () => existsSync(at('thawed')));
  expect(calls()).toBe(4);
});

test('the watchdog of the last point does not thaw the next one', async () => {
  watchdogHears(...Array<string>(100).fill(silent));
  await frozenFor({});
  await until(async () => calls() > 0);
  await frozenFor({ domfsfreeze: '', domfsthaw: '' }, 60_000);
  const told = calls();
  await sleep(500);
  expect(calls()).toBeLessThanOrEqual(told + 1);
});

test('one without an agent is told once', async () => {
  watchdogHears('Guest agent is not responding: QEMU guest agent is not connected', 'unasked');
  expect(await frozenFor({})).toMatchObject({ leftFrozen: true });
  await until(async () => calls() > 0);
  await sleep(500);
  expect(calls()).toBe(1);
});

test('one that thaws is left alone', async () => {
  watchdogHears('unasked');
  expect(await frozenFor({ domfsfreeze: '', domfsthaw: '' }, 1_500)).toMatchObject({ leftFrozen: false });
  await sleep(2_500);
  expect(calls()).toBe(0);
});

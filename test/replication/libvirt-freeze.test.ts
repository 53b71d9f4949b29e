/** What is known of a guest whose agent does not answer, and who thaws it then (libvirt.guest freezes a real one). */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { thawLeftover, whileFrozen } from '../../replication/libvirt-freeze';
import type { Virsh } from '../../replication/virsh';

let folder: string;
const before = process.env['PATH'];

/** `virsh` of the watchdog: says each time what libvirt 9.0 says, the last for ever; `thawed` once it has said nothing. */
function watchdogHears(...said: string[]): void {
  const file = (name: string) => join(folder, name);
  writeFileSync(file('said'), said.map((line) => `${line}\n`).join(''));
  const script = `#!/bin/sh
echo "$4" >> ${file('calls')}
now=$(sed -n "$(wc -l < ${file('calls')})p" ${file('said')})
[ -z "$now" ] && touch ${file('thawed')} && exit 0
echo "error: $now" >&2; exit 1
`;
  writeFileSync(file('virsh'), script);
  chmodSync(file('virsh'), 0o755);
}
const calls = () =>
  existsSync(join(folder, 'calls')) ? readFileSync(join(folder, 'calls'), 'utf8').split('\n').length - 1 : 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'muster-freeze-'));
  process.env['PATH'] = `${folder}${delimiter}${before}`;
});
afterEach(() => {
  process.env['PATH'] = before;
  rmSync(folder, { recursive: true, force: true });
});

async function until(fits: () => boolean): Promise<void> {
  for (let looks = 0; !fits(); looks += 1) {
    if (looks === 1_000) throw new Error('The watchdog did not come to that.');
    await sleep(50);
  }
}

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

const frozenFor = (answers: Record<string, string>) =>
  whileFrozen(guest(answers), 'test:///default', 'app01', async () => 'a point', { limitMs: 100, againMs: 50 });

test('a guest of which neither freeze nor thaw is known may be frozen, and is told to thaw until it hears', async () => {
  watchdogHears(silent, `${silent} `, 'Timed out during operation');
  expect(await frozenFor({})).toEqual({ result: 'a point', frozen: false, leftFrozen: true });
  await until(() => existsSync(join(folder, 'thawed')));
  expect(calls()).toBe(4);
});

test('the watchdog of the last point does not thaw the next one', async () => {
  watchdogHears(...Array<string>(100).fill(silent));
  await frozenFor({});
  await until(() => calls() > 0);
  await frozenFor({ domfsfreeze: '', domfsthaw: '' });
  const told = calls();
  await sleep(500);
  expect(calls()).toBeLessThanOrEqual(told + 1);
});

test('one without an agent is told once', async () => {
  watchdogHears('Guest agent is not responding: QEMU guest agent is not connected', 'unasked');
  expect(await frozenFor({})).toMatchObject({ leftFrozen: true });
  await until(() => calls() > 0);
  await sleep(500);
  expect(calls()).toBe(1);
});

test('one that thaws is left alone', async () => {
  watchdogHears('unasked');
  expect(await frozenFor({ domfsfreeze: '', domfsthaw: '' })).toMatchObject({ leftFrozen: false });
  await sleep(500);
  expect(calls()).toBe(0);
});

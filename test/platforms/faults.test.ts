import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readFaults, withFaults, writeFaults } from '../../platforms/faults';
import { withFileLock } from '../../platforms/file-lock';
import { withLog } from '../../platforms/log';
import { expectFailure } from './conformance';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-faults-'));
  file = join(folder, 'faults.json');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A driver that counts what reached it. */
function countingDriver() {
  const calls: string[] = [];
  return {
    calls,
    power: async (ref: { name: string }, action: string, _options?: { signal?: AbortSignal }) => {
      calls.push(`${ref.name} ${action}`);
      return action;
    },
    hold: async (serverId: string) => calls.push(serverId),
    chooseInoculator: () => ({ inoculator: 'x' }),
  };
}

test('without a rules file every call passes', async () => {
  const driver = countingDriver();
  expect(await withFaults(driver, file).power({ name: 'a' }, 'on')).toBe('on');
  expect(driver.calls).toEqual(['a on']);
});

test('a rule fires as often as it says, about the machine it names, and then no more', async () => {
  const driver = countingDriver();
  const faulty = withFaults(driver, file);
  await writeFaults(file, [{ method: 'power', machine: 'a', error: 'TransientError', times: 2, message: 'no luck' }]);
  await faulty.power({ name: 'b' }, 'on');
  await expectFailure(faulty.power({ name: 'a' }, 'on'), 'TransientError', /no luck/);
  await expectFailure(faulty.power({ name: 'a' }, 'on'), 'TransientError');
  await faulty.power({ name: 'a' }, 'on');
  expect(driver.calls).toEqual(['b on', 'a on']);
  expect(await readFaults(file)).toMatchObject([{ seen: 3, fired: 2 }]);
});

test('`after` lets calls pass first, and `when: after` loses the answer of an effect that happened', async () => {
  const driver = countingDriver();
  const faulty = withFaults(driver, file);
  await writeFaults(file, [{ method: 'hold', error: 'OperatorError', times: 1, after: 1, when: 'after' }]);
  await faulty.hold('s1');
  await expectFailure(faulty.hold('s2'), 'OperatorError');
  expect(driver.calls).toEqual(['s1', 's2']);
});

test('many callers at once meet a counted fault exactly as often as it says', async () => {
  const faulty = withFaults(countingDriver(), file);
  await writeFaults(file, [{ method: '*', error: 'PermanentError', times: 3 }]);
  const outcomes = await Promise.allSettled(Array.from({ length: 12 }, () => faulty.hold('s1')));
  expect(outcomes.filter((outcome) => outcome.status === 'rejected')).toHaveLength(3);
});

test('a delay ends when its signal fires', async () => {
  const faulty = withFaults(countingDriver(), file);
  await writeFaults(file, [{ method: 'power', delayMs: 60_000, times: 1 }]);
  const reason = new Error('stop');
  const controller = new AbortController();
  const call = faulty.power({ name: 'a' }, 'on', { signal: controller.signal });
  controller.abort(reason);
  await expect(call).rejects.toBe(reason);
});

test('what answers at once still does', () => {
  expect(withFaults(countingDriver(), file).chooseInoculator()).toEqual({ inoculator: 'x' });
});

test('the log names method, machine and outcome, and no other argument', async () => {
  const lines: { fields: object; message: string }[] = [];
  const note = (fields: object, message: string) => void lines.push({ fields, message });
  const driver = { run: async (_name: string, _command: object) => Promise.reject(new TypeError('bad')) };
  let clock = 0;
  const logged = withLog(driver, 'lab', { debug: note, warn: note }, () => (clock += 5));
  await expect(logged.run('app01', { args: ['s3cret'] })).rejects.toThrow('bad');
  expect(lines).toEqual([
    {
      fields: { driver: 'lab', method: 'run', subjects: ['app01'], durationMs: 5, family: 'TypeError', error: 'bad' },
      message: 'lab.run failed',
    },
  ]);
});

describe('a file lock', () => {
  test('lets one holder work at a time, and goes on after one that throws', async () => {
    let inside = 0;
    const work = async (index: number) => {
      expect(++inside).toBe(1);
      await new Promise(setImmediate);
      inside--;
      if (index === 1) throw new Error('mine');
    };
    const name = join(folder, 'lock');
    const outcomes = await Promise.allSettled([0, 1, 2, 3].map((index) => withFileLock(name, () => work(index))));
    expect(outcomes.map((outcome) => outcome.status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
  });

  test('is free again when the process that holds it is killed', async () => {
    const name = join(folder, 'lock');
    const program = `require('tsx/cjs'); const { withFileLock } = require('./platforms/file-lock.ts');
      withFileLock(${JSON.stringify(name)}, () => { console.log('held'); return new Promise((r) => setTimeout(r, 60000)); });`;
    const holder = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(holder.stdout, 'data');
    await expect(withFileLock(name, async () => 'got', AbortSignal.timeout(100))).rejects.toThrow(/timeout/i);
    holder.kill('SIGKILL');
    expect(await withFileLock(name, async () => 'got')).toBe('got');
  });
});

import { spawnSync } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { inTime, orAbort, within } from '../../programs/within';
import { whileCollecting } from '../support/garbage';

const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
/** What holds nothing but the signal itself, as a look every now and then does. */
async function looks(signal: AbortSignal): Promise<never> {
  for (;;) {
    signal.throwIfAborted();
    await sleep(10);
  }
}
const never = (): Promise<never> => new Promise(() => undefined);

describe.each([
  ['that listens', untilAborted],
  ['that looks', looks],
])('work %s', (_, work) => {
  test('ends at its time, whatever garbage is collected until then', async () => {
    const ended = within({ signals: [new AbortController().signal], ms: 150 }, work);
    await expect(whileCollecting(ended)).rejects.toMatchObject({
      name: 'TimeoutError',
      message: 'not done within 150 ms',
    });
  });

  test('ends at the time of the outer one, also within a longer one', async () => {
    const ended = within({ signals: [], ms: 150 }, (outer) => within({ signals: [outer], ms: 60_000 }, work));
    await expect(whileCollecting(ended)).rejects.toMatchObject({ message: 'not done within 150 ms' });
  });

  test('ends with each of its signals, for its reason', async () => {
    for (const which of [0, 1]) {
      const controllers = [new AbortController(), new AbortController()];
      const ended = within({ signals: [undefined, ...controllers.map(({ signal }) => signal)] }, work);
      setTimeout(() => controllers[which]!.abort(new Error(`the ${which}`)), 30);
      await expect(whileCollecting(ended)).rejects.toThrow(`the ${which}`);
    }
    const early = AbortSignal.abort(new Error('before it began'));
    await expect(within({ signals: [early], ms: 60_000 }, async (signal) => signal.throwIfAborted())).rejects.toThrow(
      'before',
    );
  });
});

test('work that is done in time resolves, and leaves nothing on a signal that lives on', async () => {
  const long = new AbortController();
  const bounds = { signals: [long.signal], ms: 60_000 };
  expect(await within(bounds, async () => 'done')).toBe('done');
  await expect(within(bounds, () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
  expect(await inTime(bounds, async () => 'done')).toBe('done');
  expect(await orAbort(Promise.resolve('done'), long.signal)).toBe('done');
  expect(getEventListeners(long.signal, 'abort')).toEqual([]);
});

test('as many as want to may wait at the same signal: Node warns of no leak, and nothing is waited for afterwards', () => {
  const module = JSON.stringify(require.resolve('../../programs/within'));
  const program = `
    const { within, orAbort } = require(${module});
    const thirty = (work) => Promise.all(Array.from({ length: 30 }, work));
    const { signal } = new AbortController();
    const soon = () => new Promise((done) => setTimeout(done, 10));
    void thirty(() => within({ signals: [signal], ms: 600_000 }, soon));
    void within({ signals: [] }, (inner) => thirty(() => orAbort(soon(), inner)));`;
  const { status, stderr } = spawnSync(process.execPath, ['--require', 'tsx/cjs', '--eval', program], {
    ...{ encoding: 'utf8', timeout: 90_000, env: { PATH: process.env['PATH'] } },
  });
  expect(status).toBe(0);
  expect(stderr).not.toContain('MaxListenersExceededWarning');
});

test('work that ignores its signal is given up in time where that is asked for', async () => {
  await expect(whileCollecting(inTime({ signals: [], ms: 100 }, never))).rejects.toThrow('not done within 100 ms');
  const cancelled = AbortSignal.abort(new Error('cancelled'));
  await expect(inTime({ signals: [cancelled], ms: 60_000 }, never)).rejects.toThrow('cancelled');
});

test('a time longer than any timer is none that is over at once', async () => {
  expect(await within({ signals: [], ms: 2 ** 31 }, async (signal) => (await sleep(20), signal.aborted))).toBe(false);
});

/** Parts that cannot be noted: on a full disk, for example. */
import type { Part } from '../../stack/part';
import { supervise, type SupervisedPart } from '../../stack/supervise';

/** A part in thought, with what was done to it in order. */
function pretended() {
  const did: string[] = [];
  let crash: (end: Awaited<Part['ended']>) => void = () => undefined;
  let count = 0;
  const what: SupervisedPart = {
    name: 'Temporal',
    start: () => {
      count += 1;
      did.push(`start ${count}`);
      const ended = new Promise<Awaited<Part['ended']>>((resolve) => (crash = resolve));
      return Promise.resolve({ name: 'Temporal', pid: count, logFile: 'temporal.log', ended } as Part);
    },
    end: (part) => {
      did.push(`end ${part.pid}`);
      crash({ code: 0, signal: null });
      return Promise.resolve();
    },
  };
  return { what, did, crash: () => crash({ code: 1, signal: null }) };
}

const full = new Error('no space left on device');
const backOff = { firstMs: 1, maxMs: 1, calmMs: 60_000 };

test('a part that cannot be noted at its first start does not go on without anybody who ends it', async () => {
  const { what, did } = pretended();
  await expect(
    supervise(
      what,
      () => undefined,
      () => Promise.reject(full),
    ),
  ).rejects.toThrow(full);
  expect(did).toEqual(['start 1', 'end 1']);
});

test('a part that was started again and cannot be noted goes on, once, and that is said', async () => {
  const { what, did, crash } = pretended();
  const said: string[] = [];
  const runsAgain = new Promise<void>((resolve) => {
    const say = (line: string): void => {
      said.push(line);
      if (line.includes('runs again')) resolve();
    };
    let notes = 0;
    void supervise(what, say, () => ((notes += 1) === 1 ? Promise.resolve() : Promise.reject(full)), { backOff }).then(
      crash,
    );
  });
  await runsAgain;
  expect(did).toEqual(['start 1', 'start 2']);
  expect(said).toContain('Temporal runs without a note of it: no space left on device');
});

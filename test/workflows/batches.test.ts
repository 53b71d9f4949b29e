import type { RunEvent } from '../../model/events';
import { wholeRun } from '../../api/temporal/live';
import { maxBatchCharacters, maxBatchEvents, nextAnswer, nextBatch } from '../../workflows/runner/batches';
import { ines } from '../support/order';

const noted = (message: string): RunEvent => ({
  kind: 'noted',
  at: '2026-03-14T02:11:07.412Z',
  by: ines,
  step: null,
  item: null,
  attempt: null,
  data: { message },
});

test('many small events go in batches of a fixed number, none twice and none left out', () => {
  const events = Array.from({ length: 450 }, (_, number) => noted(String(number)));
  const sent: RunEvent[] = [];
  while (sent.length < events.length) sent.push(...nextBatch(events, sent.length));
  expect(sent).toEqual(events);
  expect(nextBatch(events, 0)).toHaveLength(maxBatchEvents);
});

test('what an outage of the journal has piled up never grows beyond what one payload may hold', () => {
  const events = Array.from({ length: 200 }, () => noted('ö'.repeat(20_000)));
  for (let from = 0; from < events.length;) {
    const batch = nextBatch(events, from);
    expect(batch.length).toBeGreaterThan(0);
    expect(Buffer.byteLength(JSON.stringify(batch))).toBeLessThan(1.5 * 1024 * 1024);
    from += batch.length;
  }
});

test('an event that is larger than a batch goes alone instead of never', () => {
  const events = [noted('small'), noted('x'.repeat(maxBatchCharacters)), noted('small')];
  expect(nextBatch(events, 0)).toHaveLength(1);
  expect(nextBatch(events, 1)).toHaveLength(1);
});

test('a run of many megabytes is answered in pages that each come through, and put together whole', async () => {
  const events = Array.from({ length: 900 }, (_, number) => noted(`${number} ${'ö'.repeat(8_000)}`));
  const sizes: number[] = [];
  const run = await wholeRun((from) => {
    const page = nextAnswer(events, from);
    sizes.push(Buffer.byteLength(JSON.stringify(page)));
    return Promise.resolve({ runId: 'run', state: 'running', parkings: [], unflushed: 0, ...page });
  });
  expect(run?.events).toEqual(events);
  expect(sizes.length).toBeGreaterThan(3);
  expect(Math.max(...sizes)).toBeLessThan(4 * 1024 * 1024);
});

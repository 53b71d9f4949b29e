import fc from 'fast-check';
import type { RunEvent } from '../../model/events';
import { clocksOf } from '../../model/clocks';
import { Story, failure } from '../support/events';
import { abortedStory, skippedStory, stuckStory, stuckThenRetriedStory, succeededStory } from '../support/stories';

const refused = failure('PermanentError', 'no');

/** Any run: steps on one disk or two, with failures, parkings that overlap, answers, going back, abort, close. */
const anyRun = fc
  .array(fc.tuple(fc.nat(7), fc.integer({ min: 1, max: 90_000 }), fc.nat(3)), { minLength: 1, maxLength: 40 })
  .map((acts) => {
    const story = new Story().pass(1);
    const open: number[] = [];
    for (const [act, ms, which] of acts) {
      const step = ['freeze', 'apply-signature', 'create-machine', 'hand-over'][which]!;
      if (act === 0) story.announce(step);
      else if (act === 1) story.attempt(step, { tookMs: ms });
      else if (act === 2 || act === 3) open.push(story.park(step, refused, { item: `disk${act}`, undo: ms % 5 === 0 }));
      else if (act === 4 && open.length > 0) story.decide(open.splice(ms % open.length, 1)[0]!, 'retry', 'mended');
      else if (act === 5) story.emit('step-done', { result: null }, { step });
      else if (act === 6) story.emit('rewound', { from: 'hand-over', to: 'freeze' });
      else if (act === 7 && ms < 4_000) story.decide(0, 'abort', 'enough').emit('undo-started', { because: 'enough' });
      story.pass(ms);
    }
    return story;
  });

const later = (story: Story, ms: number): string => new Date(Date.parse(story.at) + ms).toISOString();

/** Every event at its own millisecond, so that its place follows from its time alone. */
function spread(events: readonly RunEvent[]): RunEvent[] {
  const start = Date.parse(events[0]!.at);
  return events.map((event, i) => ({
    ...event,
    at: new Date(start + (Date.parse(event.at) - start) * 100 + i).toISOString(),
  }));
}

describe('the three clocks', () => {
  test('elapsed is machine time plus waiting, for the run and for every step, and none is negative', () => {
    fc.assert(
      fc.property(anyRun, fc.nat(1e7), (story, ms) => {
        const clocks = clocksOf(story.events, later(story, ms));
        for (const one of [clocks.run, ...Object.values(clocks.steps)]) {
          expect(one.machineMs + one.waitingMs).toBe(one.elapsedMs);
          expect(Math.min(one.machineMs, one.waitingMs)).toBeGreaterThanOrEqual(0);
          expect(one.elapsedMs).toBeLessThanOrEqual(clocks.run.elapsedMs);
        }
      }),
    );
  });

  test('no clock runs backwards while time goes on', () => {
    fc.assert(
      fc.property(anyRun, fc.nat(1e6), fc.nat(1e6), (story, a, b) => {
        const before = clocksOf(story.events, later(story, a));
        const after = clocksOf(story.events, later(story, a + b));
        expect(after.run.elapsedMs).toBe(before.run.elapsedMs + b);
        expect(after.run.waitingMs).toBeGreaterThanOrEqual(before.run.waitingMs);
        expect(after.run.machineMs).toBeGreaterThanOrEqual(before.run.machineMs);
        for (const [i, parking] of after.parkings.entries()) {
          expect(parking.waitingMs).toBeGreaterThanOrEqual(before.parkings[i]!.waitingMs);
        }
      }),
    );
  });

  test('batches of events may arrive in any order', () => {
    fc.assert(
      fc.property(anyRun, fc.infiniteStream(fc.nat()), (story, keys) => {
        const events = spread(story.events);
        const now = later(story, 1e10);
        const shuffled = events
          .map((event) => ({ event, key: keys.next().value as number }))
          .sort((a, b) => a.key - b.key)
          .map(({ event }) => event);
        expect(clocksOf(shuffled, now)).toEqual(clocksOf(events, now));
      }),
    );
  });

  test('waiting is never more than the sum of the parkings and never less than the longest of them', () => {
    fc.assert(
      fc.property(anyRun, (story) => {
        const { run, parkings } = clocksOf(story.events, story.at);
        const each = parkings.map((parking) => parking.waitingMs);
        expect(run.waitingMs).toBeLessThanOrEqual(each.reduce((sum, ms) => sum + ms, 0));
        expect(run.waitingMs).toBeGreaterThanOrEqual(Math.max(0, ...each));
      }),
    );
  });

  test('two disks that wait at the same time count once for the run', () => {
    const story = new Story().announce('apply-signature');
    const first = story.park('apply-signature', refused, { item: 'disk0' });
    const second = story.pass(10_000).park('apply-signature', refused, { item: 'disk1' });
    story.pass(5_000).decide(first, 'retry', 'mended').pass(7_000).decide(second, 'retry', 'mended').pass(1_000);
    const clocks = clocksOf(story.events, story.at);
    expect(clocks.run).toEqual({ elapsedMs: 23_000, machineMs: 1_000, waitingMs: 22_000 });
    expect(clocks.steps['apply-signature']).toEqual(clocks.run);
    expect(clocks.parkings.map(({ waitingMs }) => waitingMs)).toEqual([15_000, 12_000]);
  });

  test('the clocks of a closed run stand still', () => {
    const story = skippedStory();
    expect(clocksOf(story.events, later(story, 86_400_000))).toEqual(clocksOf(story.events, story.at));
  });

  test('an abort ends what waits, but not the wait of an undo', () => {
    const { parkings } = clocksOf(abortedStory().events, '2026-03-14T09:00:00.000Z');
    expect(parkings.map(({ undo, waitingMs }) => [undo, waitingMs])).toEqual([
      [false, 305_000],
      [true, 64_000],
    ]);
  });

  test('somebody who claims a parking has not answered it', () => {
    const story = new Story();
    const epoch = story.park('freeze', refused);
    story.pass(4_000).decide(epoch, 'claim', 'I look at it').pass(6_000);
    expect(clocksOf(story.events, story.at).parkings[0]).toMatchObject({ until: null, waitingMs: 10_000 });
  });

  test.each([
    ['succeeded', succeededStory(), 0],
    ['stuck, then retried', stuckThenRetriedStory(), 48_200 + 130_000 + 81_500],
    ['skipped', skippedStory(), 900_000 + 412_000],
    ['stuck now', stuckStory(), 61_000],
  ])('a run that is %s waited for people as long as it did', (_, story, waitingMs) => {
    expect(clocksOf(story.events, story.at).run.waitingMs).toBe(waitingMs);
  });

  test('no events: no time', () => {
    expect(clocksOf([], '2026-03-14T09:00:00.000Z').run.elapsedMs).toBe(0);
  });
});

/** What past runs let expect, how sure that is, and how long a run still takes. */
import { expectedOf, type Wanted } from '../../../model/estimate/expected';
import { pastTimesOf } from '../../../model/estimate/past';
import { timeLeft } from '../../../model/estimate/time-left';
import { timeLeftWords } from '../../../model/estimate/words';
import { objectivesOf } from '../../../model/objectives';
import { makeOrder } from '../../support/order';
import { abortedStory, stuckThenRetriedStory, succeededStory } from '../../support/stories';
import { gibibytes, pastRun } from './past-runs';

const db: Wanted = { serverId: 'db', siteId: 'dr', diskBytes: gibibytes(40), option: 'backup-and-recover' };

test('the median and the spread of this server’s own runs, and how many they are', () => {
  const past = [100, 110, 120, 130, 500].map((seconds) => pastRun('db', seconds));
  expect(expectedOf(db, [...past, pastRun('other', 9)])?.toProof).toEqual({
    ...{ medianMs: 120_000, lowMs: 104_000, highMs: 352_000 },
    ...{ runs: 5, from: 'this server', sure: 'fairly' },
  });
  const ten = Array.from({ length: 10 }, (_, i) => pastRun('db', 100 + i));
  expect(expectedOf(db, ten)?.toProof).toMatchObject({ runs: 10, sure: 'well' });
  expect(expectedOf(db, ten.slice(0, 2))?.toProof.sure).toBe('hardly');
  expect(expectedOf(db, ten)?.steps['power-on']).toMatchObject({ medianMs: 5_000, runs: 10 });
});

test('only the twenty newest count, and only those that recovered in the same way', () => {
  const newest = Array.from({ length: 20 }, () => pastRun('db', 100));
  const older = Array.from({ length: 20 }, () => pastRun('db', 900));
  expect(expectedOf(db, [...newest, ...older])?.toProof).toMatchObject({ medianMs: 100_000, runs: 20 });
  expect(expectedOf(db, [pastRun('db', 900, { option: 'copy-and-recover' })])).toBeNull();
  // What is rehearsed is never destructive, and still says how long the day will take.
  expect(expectedOf({ ...db, option: 'destructive' }, [pastRun('db', 100)])).toEqual(
    expectedOf(db, [pastRun('db', 100)]),
  );
});

test('a server that never ran is expected to be like others of similar size at its site, and that is said', () => {
  const others = [pastRun('b', 200), pastRun('c', 300), pastRun('d', 900, { diskBytes: gibibytes(400) })];
  expect(expectedOf(db, others)?.toProof).toMatchObject({
    ...{ medianMs: 250_000, runs: 2, from: 'servers of similar size', sure: 'hardly' },
  });
  expect(expectedOf(db, [pastRun('b', 200, { siteId: 'far' })])).toBeNull();
  expect(expectedOf(db, [])).toBeNull();
});

test('a run is kept with the machine’s own time, and only when it went well', () => {
  const plainly = pastTimesOf(succeededStory().events);
  expect(plainly?.rpoMs).toBe(objectivesOf(succeededStory().events, '')?.rpo.actualMs);
  expect(pastTimesOf(succeededStory(makeOrder({ point: 'p-0042' })).events)?.rpoMs).toBeNull();
  expect(plainly).toMatchObject({ procedure: 'push-button-recovery', siteId: 'frankfurt', diskBytes: gibibytes(23) });
  const waited = pastTimesOf(stuckThenRetriedStory().events)!;
  const events = stuckThenRetriedStory().events;
  const proven = events.find(({ kind, step }) => kind === 'step-done' && step === 'prove-boot')!;
  const elapsedMs = Date.parse(proven.at) - Date.parse(events[0]!.at);
  expect(waited.toProofMs).toBeGreaterThan(0);
  expect(waited.toProofMs).toBeLessThan(elapsedMs);
  expect(pastTimesOf(abortedStory().events)).toBeNull();
  expect(pastTimesOf(succeededStory().events.slice(0, -1))).toBeNull();
});

test('the time left is what is usual of the steps that are open, less what they have had', () => {
  const expected = expectedOf(
    db,
    [100, 100, 100].map((seconds) => pastRun('db', seconds)),
  );
  const steps = [
    { id: 'freeze', state: 'done', machineMs: 40_000 },
    { id: 'power-on', state: 'running', machineMs: 2_000 },
    { id: 'prove-boot', state: 'pending', machineMs: 0 },
  ] as const;
  expect(timeLeft(steps, expected)).toEqual({
    ...{ until: 'proof', ms: 58_000, lowMs: 58_000, highMs: 58_000, atLeast: false, neverRan: 0 },
    ...{ runs: 3, from: 'this server', sure: 'fairly', unknown: null },
  });
  const slow = steps.map((step) => ({ ...step, machineMs: 200_000 }));
  expect(timeLeft(slow, expected).ms).toBe(0);
  const known = timeLeft([{ id: 'new-step', state: 'pending', machineMs: 0 }, ...steps], expected);
  expect(known).toMatchObject({ ms: 58_000, atLeast: true });
  expect(timeLeft(steps, null)).toMatchObject({
    ms: null,
    runs: 0,
    sure: null,
    unknown: expect.stringMatching(/neither/),
  });
});

test('the time left is as wide as past runs differ, and after the proof it is that to the end', () => {
  const expected = expectedOf(
    db,
    [100, 100, 200].map((seconds) => pastRun('db', seconds)),
  );
  const fresh = ['freeze', 'power-on', 'prove-boot', 'await-plan', 'resume-replication'].map((id) => ({
    ...{ id, machineMs: 0 },
    state: 'pending' as const,
  }));
  expect(timeLeft(fresh, expected)).toMatchObject({ until: 'proof', ms: 100_000, lowMs: 100_000, highMs: 180_000 });
  const proven = fresh.map((step, at) => (at < 3 ? { ...step, state: 'done' as const } : step));
  expect(timeLeft(proven, expected)).toMatchObject({ until: 'end', ms: 2_000, atLeast: false });
});

test('the time left is said in words, with how sure it is or why it is not known', () => {
  const past = [100, 100, 200].map((seconds) => pastRun('db', seconds));
  const steps = [{ id: 'prove-boot', state: 'pending', machineMs: 0 }] as const;
  expect(timeLeftWords(timeLeft(steps, expectedOf(db, past)))).toBe(
    '55.0 s to the proof (55.0 s to 1 min 39 s), fairly sure: 3 past runs',
  );
  expect(timeLeftWords(timeLeft(steps, expectedOf(db, [pastRun('b', 100)])))).toBe(
    '55.0 s to the proof, hardly sure: 1 past run of servers of similar size',
  );
  expect(timeLeftWords(timeLeft(steps, null))).toMatch(/^unknown: neither this server nor one/);
});

/** When an objective is at risk: from what is expected, or by its share where nothing is; and what its people read. */
import { planAtRisk, runAtRisk, type Rest } from '../../model/notify/at-risk';
import { planView, type PlanView } from '../../model/plan-view/plan-view';
import { runView } from '../../model/run-view';
import { planDeclaration } from '../../workflows/plan.steps';
import { storyDeclaration } from '../support/declaration';
import { Story } from '../support/events';
import { makeOrder, storyRunId, storyServer, storyStart } from '../support/order';
import { at, planStory } from '../support/plan-story';

const minute = 60_000;
const known = (minutes: number): Rest => ({ ms: minutes * minute, atLeast: false });
const after = (minutes: number): string => new Date(Date.parse(storyStart) + minutes * minute).toISOString();

/** Of a server with an RTO of 15 min and an RPO of 5. */
function told(minutes: number, rest: Rest | null, tell: (story: Story) => Story = (story) => story) {
  const objectives = { rpoMs: 5 * minute, rtoMs: 15 * minute };
  const server = { ...storyServer, objectives };
  const story = tell(new Story(makeOrder({ server, requestedAt: storyStart, lostAt: null })));
  const view = runView(story.events, storyDeclaration, after(minutes));
  return runAtRisk(null, view, rest, after(minutes)).map(
    ({ key, facts }) => `${key.replace(storyRunId, '')} ${facts.cause}`,
  );
}

test.each([
  ['before four fifths of its RTO', 11.9, null, []],
  [
    'from four fifths on',
    12,
    null,
    [expect.stringMatching(/^\/rto Its RTO of 15 min 00 s is at risk: 80 % of it has passed/)],
  ],
  [
    'once it has passed',
    16,
    null,
    [expect.stringMatching(/^\/rto Its RTO of 15 min 00 s has passed, and it is not proven/)],
  ],
])('where no past run tells anything, it is told of %s', (_, minutes, rest, expected) => {
  expect(told(minutes, rest)).toEqual(expected);
});

test.each([
  ['what is expected ends in time, also late', 13.9, known(1), 0],
  ['what is expected ends too late, also early', 2, known(13.1), 1],
  ['some of what is left is not known, and four fifths have passed', 12.1, { ms: minute, atLeast: true }, 1],
  ['some of what is left is not known', 11, { ms: minute, atLeast: true }, 0],
])('where past runs tell, they decide: %s', (_, minutes, rest, count) => {
  const found = told(minutes, rest);
  expect(found).toHaveLength(count);
  if (minutes < 3) expect(found[0]).toMatch(/2 min 00 s have passed, and from past runs 13 min 06 s more are expected/);
});

test('what is proven, undone, closed, or proves nothing is at risk no more', () => {
  const proof = { rungs: [], provenAt: after(10) };
  expect(told(20, null, (story) => story.announce('prove-boot').step('prove-boot', { result: proof }))).toEqual([]);
  expect(told(20, null, (story) => story.emit('undo-started', { because: 'abort' }))).toEqual([]);
  const end = { state: 'succeeded' as const, summary: '', childHashes: {} };
  expect(told(20, null, (story) => story.emit('run-closed', end))).toEqual([]);
});

test('an RPO that the chosen point misses is told as soon as the point is chosen', () => {
  const from = (takenAt: string) => (story: Story) =>
    story.step('freeze', { result: { point: { pointId: 'p', takenAt, consistency: 'crash', clockSkewMs: 0 } } });
  expect(told(1, known(1), from(after(-5)))).toEqual([]);
  expect(told(1, known(1), from(after(-6)))).toEqual([
    '/rpo Its RPO of 5 min 00 s is missed by the recovery point that is used: it was taken 6 min 00 s before the loss.',
  ]);
});

describe('a plan', () => {
  const { events, children } = planStory();
  const view = planView(events, planDeclaration, children, at(200));
  const ids = new Map(view.waves.flatMap(({ servers }) => servers.map(({ name, serverId }) => [name, serverId])));
  const withTier = (rpoMs: number | null, rtoMs: number | null): PlanView => ({
    ...view,
    tiers: view.tiers.map((one) =>
      one.tier === 2 ? { ...one, rpo: { ...one.rpo, targetMs: rpoMs }, rto: { ...one.rto, targetMs: rtoMs } } : one,
    ),
  });
  const ends = (minutes: Record<string, number>): ReadonlyMap<string, Rest> =>
    new Map(Object.entries(minutes).map(([name, one]) => [ids.get(name)!, known(one)]));
  const keys = (of: PlanView, left: ReadonlyMap<string, Rest> | null, second = 200): string[] =>
    planAtRisk(null, of, left, at(second))
      .filter(({ facts }) => facts.run?.procedure === 'plan')
      .map(({ key }) => key.replace(storyRunId, ''));

  test('is at risk as a whole when its last server ends too late, and each tier by its own', () => {
    const inTime = ends({ app01: 6, web01: 18, web02: 18 });
    expect(keys(withTier(null, 1_300_000), inTime)).toEqual([]);
    expect(keys(withTier(null, 1_250_000), inTime)).toEqual(['/rto/tier-2']);
    expect(keys(withTier(null, null), ends({ app01: 6, web01: 18, web02: 27 }))).toEqual(['/rto']);
    expect(keys(withTier(null, 1_200_000), null, 1_000)).toEqual(['/rto/tier-2']);
  });

  test('has missed a tier’s RPO with the point of one server, before anything of it is proven', () => {
    const [app] = planAtRisk(null, withTier(10_000, null), ends({ app01: 1, web01: 1, web02: 1 }), at(200));
    expect(app).toMatchObject({
      key: `${storyRunId}/rpo/tier-2`,
      facts: { cause: expect.stringMatching(/^Tier 2’s RPO of 10\.0 s is missed by the recovery point that is used/) },
    });
    expect(keys(withTier(60_000, null), ends({ app01: 1, web01: 1, web02: 1 }))).toEqual([]);
  });

  test('has its servers’ own objectives told in the name of their runs', () => {
    const late = planAtRisk(null, view, ends({ app01: 600, web01: 601, web02: 601 }), at(200));
    const own = late.filter(({ facts }) => facts.run?.procedure !== 'plan' && facts.cause.includes('RTO'));
    expect(own.map(({ facts: { name, run } }) => [name, run?.parentRunId])).toEqual([['app01', storyRunId]]);
  });
});

import fc from 'fast-check';
import { objectivesOf } from '../../model/objectives';
import { Story } from '../support/events';
import { makeOrder, storyServer } from '../support/order';
import { abortedStory, stuckThenRetriedStory, succeededStory } from '../support/stories';

const time = (ms: number): string => new Date(Date.parse('2026-03-14T02:00:00.000Z') + ms).toISOString();

function recovered(times: {
  takenAt: number;
  lostAt: number | null;
  provenAt: number;
  rpoMs?: number;
  rtoMs?: number;
}) {
  const { rpoMs = 15_000, rtoMs = 900_000, takenAt, lostAt, provenAt } = times;
  const story = new Story(
    makeOrder({
      lostAt: lostAt === null ? null : time(lostAt),
      requestedAt: time(300_000),
      server: { ...storyServer, objectives: { rpoMs, rtoMs } },
    }),
  );
  story.step('freeze', { result: { point: { pointId: 'p', takenAt: time(takenAt) } } });
  return story.step('prove-boot', { result: { provenAt: time(provenAt), rungs: [] } });
}

describe('objectives', () => {
  test('the RPO is measured from the loss of the server, the RTO from the button to the proof', () => {
    const story = recovered({ takenAt: 40_000, lostAt: 50_000, provenAt: 700_000 });
    expect(objectivesOf(story.events, time(0))).toMatchObject({
      rpo: { actualMs: 10_000, marginMs: 5_000, verdict: 'met' },
      rto: { actualMs: 400_000, marginMs: 500_000, verdict: 'met' },
    });
  });

  test('where nobody knows the loss, the RPO is measured from the button', () => {
    const story = recovered({ takenAt: 40_000, lostAt: null, provenAt: 700_000 });
    expect(objectivesOf(story.events, time(0))!.rpo).toMatchObject({ actualMs: 260_000, verdict: 'missed' });
  });

  test('a point taken after the loss lost nothing', () => {
    const story = recovered({ takenAt: 50_400, lostAt: 50_000, provenAt: 700_000 });
    expect(objectivesOf(story.events, time(0))!.rpo).toMatchObject({ actualMs: 0, verdict: 'met' });
  });

  test('met means: margin is target minus actual and not negative', () => {
    fc.assert(
      fc.property(fc.nat(1e6), fc.nat(1e6), fc.nat(1e6), fc.nat(1e6), (lag, took, rpoMs, rtoMs) => {
        const story = recovered({ takenAt: 0, lostAt: lag, provenAt: 300_000 + took, rpoMs, rtoMs });
        const { rpo, rto } = objectivesOf(story.events, time(0))!;
        expect([rpo.actualMs, rto.actualMs]).toEqual([lag, took]);
        expect([rpo.marginMs, rto.marginMs]).toEqual([rpoMs - lag, rtoMs - took]);
        expect([rpo.verdict, rto.verdict]).toEqual([lag <= rpoMs ? 'met' : 'missed', took <= rtoMs ? 'met' : 'missed']);
      }),
    );
  });

  test('an undone recovery met nothing', () => {
    const { rpo, rto } = objectivesOf(abortedStory().events, time(0))!;
    expect([rpo.verdict, rto.verdict]).toEqual(['unknown', 'unknown']);
  });

  test('going back behind the proof takes the proof back', () => {
    const story = succeededStory();
    const before = story.events.slice(0, -1);
    const after = story
      .emit('rewound', { from: 'prove-boot', to: 'inoculate' })
      .events.filter((e) => e.kind !== 'run-closed');
    expect(objectivesOf(before, story.at)!.rto.verdict).toBe('met');
    expect(objectivesOf(after, story.at)!.rto.verdict).toBe('unknown');
    expect(objectivesOf(after, story.at)!.rpo.verdict).toBe('met');
  });

  test('after the target has passed without a proof the RTO is missed, and before it is not known', () => {
    const story = new Story(makeOrder({ requestedAt: time(0) }), time(0)).announce('preflight');
    expect(objectivesOf(story.events, time(900_000))!.rto.verdict).toBe('unknown');
    expect(objectivesOf(story.events, time(900_001))!.rto).toMatchObject({ verdict: 'missed', actualMs: null });
  });

  test('a skipped proof leaves the RTO unknown, however quick the run was', () => {
    const story = new Story().announce('prove-boot').emit('step-skipped', { reason: 'hurry' }, { step: 'prove-boot' });
    expect(objectivesOf(story.close('succeeded-with-exceptions', '').events, story.at)!.rto).toMatchObject({
      verdict: 'unknown',
      because: 'The proof of boot was skipped.',
    });
  });

  test('the second proof counts when the first boot failed', () => {
    expect(objectivesOf(stuckThenRetriedStory().events, time(0))!.rto.actualMs).toBe(713_143);
  });

  test('a result of another shape is no measurement', () => {
    const story = new Story().step('freeze', { result: { point: { takenAt: 7 } } });
    expect(objectivesOf(story.events, time(0))!.rpo.verdict).toBe('unknown');
  });
});

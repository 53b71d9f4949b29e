/** A plan from its own record and its children's rows. */
import { pastPlan } from '../../../model/plan-view/past-plan';
import { planView } from '../../../model/plan-view/plan-view';
import { stepCosts } from '../../../model/plan-view/step-costs';
import { nextFacts, type RunFacts } from '../../../model/run-facts';
import { planDeclaration } from '../../../workflows/plan.steps';
import { storyStart } from '../../support/order';
import { at, largeRunbook, planStory } from '../../support/plan-story';

const { events, children } = planStory();
const view = planView(events, planDeclaration, children, at(200));
const server = (name: string) => view.waves.flatMap(({ servers }) => servers).find((one) => one.name === name)!;

test('each server is where its run and the plan say it is', () => {
  const stages = view.waves.flatMap(({ servers }) => servers.map(({ name, stage }) => `${name} ${stage}`));
  expect(stages).toEqual(['db01 proven', 'db02 failed', 'app01 stuck', 'web01 pending', 'web02 pending']);
  expect(view).toMatchObject({ done: 2, serverCount: 5, counts: { stuck: 1, failed: 1, pending: 2, proven: 1 } });
});

test('what has not begun says what it waits for, and what it waits for no more is not said', () => {
  expect(server('web01').waitsFor).toEqual(['application']);
  expect(server('app01').waitsFor).toEqual([]);
  const early = planView(events.slice(0, 6), planDeclaration, children.slice(0, 2), at(62));
  expect(early.waves[1]).toMatchObject({ gate: { name: 'data-is-good', state: 'waiting' } });
  expect(early.waves[1]!.servers[0]!.waitsFor).toEqual(['gate data-is-good']);
});

test('the clocks of plan, wave and server add up, and people are waited for once at a time', () => {
  // The gate from 61 to 161, the stuck server from 170 on.
  expect(view.clocks).toEqual({ elapsedMs: 200_000, machineMs: 70_000, waitingMs: 130_000 });
  expect(server('app01').clocks).toEqual({ elapsedMs: 38_000, machineMs: 8_000, waitingMs: 30_000 });
  expect(view.waves[0]!.clocks).toEqual({ elapsedMs: 99_000, machineMs: 99_000, waitingMs: 0 });
});

test('an objective is met only when everything it is about was proven, and missed when its time is over', () => {
  const [whole, first] = view.tiers;
  expect(whole).toMatchObject({ tier: null, servers: 5, rto: { verdict: 'unknown', targetMs: 1_800_000 } });
  expect(whole!.rto.because).toBe('Not recovered: db02 (failed).');
  expect(first).toMatchObject({ tier: 1, servers: 2, rpo: { verdict: 'unknown', targetMs: null } });
  const late = planView(events, planDeclaration, children, at(3600)).tiers;
  expect(late.map(({ tier, rto }) => [tier, rto.verdict])).toEqual([
    ...[
      [null, 'missed'],
      [1, 'missed'],
      [2, 'unknown'],
    ],
  ]);
  const alone = events.map((event) =>
    event.kind === 'plan-opened'
      ? {
          ...event,
          data: {
            ...event.data,
            order: { ...event.data.order, servers: event.data.order.servers.filter(({ name }) => name === 'db01') },
          },
        }
      : event,
  );
  const met = planView(alone, planDeclaration, children, at(200)).tiers[1]!;
  expect(met).toMatchObject({ tier: 1, rto: { verdict: 'met', actualMs: 60_000, marginMs: 540_000, server: 'db01' } });
  expect(met.rpo.actualMs).toBe(12_000);
});

/** The first server's row does not tell of a proof, or not yet, and of a step that people skipped. */
function withSkipped(step: string) {
  const [first, ...others] = children;
  const { server: facts } = first!.facts!;
  const objectives = { ...facts!.objectives, proof: null };
  const skipped = { ...first!, facts: { ...first!.facts!, skipped: [step], server: { ...facts!, objectives } } };
  return planView(events, planDeclaration, [skipped, ...others], at(200));
}

test('a server that the plan knows proven is no less so where another step of it was skipped', () => {
  const { counts } = withSkipped('inoculate');
  expect(counts).toMatchObject({ proven: 1 });
  expect(counts.unproven).toBeUndefined();
});

test('a server whose proof people skipped is done, and never counts as proven', () => {
  const shown = withSkipped('prove-boot');
  expect(shown).toMatchObject({ done: 2, counts: { unproven: 1 } });
  expect(shown.counts.proven).toBeUndefined();
  expect(shown.tiers[0]!.rto.because).toBe('Not recovered: db01 (not proven), db02 (failed).');
});

test('a hold is shown until somebody lets it go on', () => {
  expect(view.holds).toMatchObject([
    { of: { kind: 'wave', name: 'web' }, until: null, reason: 'Wait for the network team.' },
  ]);
});

test('the step that costs most is compared with its median before', () => {
  const [first] = stepCosts(children, [children, children]);
  expect(first).toMatchObject({ step: 'prove-boot', servers: 1, totalMs: 54_000, pastMedianMs: 54_000, pastRuns: 2 });
  expect(stepCosts(children, [])[0]!.pastMedianMs).toBeNull();
});

test('a past run is one line: its clocks as they were shown, and what it reached', () => {
  const facts = events.reduce<RunFacts | undefined>(nextFacts, undefined) ?? null;
  const row = { runId: 'r', mode: 'rehearsal' as const, state: 'succeeded' as const, startedAt: storyStart, facts };
  const past = pastPlan({ ...row, closedAt: at(200), runbookVersion: 2, runbookSha256: 'b' }, children);
  expect(past).toMatchObject({ version: 2, elapsedMs: 200_000, waitingMs: 130_000, rpoMs: 12_000, rtoMs: 60_000 });
});

test('2,000 servers are one view', () => {
  const large = planStory(largeRunbook(2000));
  const shown = planView(large.events, planDeclaration, large.children, at(200));
  expect(shown.serverCount).toBe(2005);
  expect(shown.waves.at(-1)!.counts).toEqual({ running: 40, pending: 1960 });
});

import fc from 'fast-check';
import { runStates, stepStates } from '../../model/steps';
import { reportModel } from '../../model/report';
import { runView } from '../../model/run-view';
import type { RunView, StepView } from '../../model/run-view';
import { pushButtonDeclaration } from '../../workflows/push-button-recovery.steps';
import { storyDeclaration } from '../support/declaration';
import { failure, Story } from '../support/events';
import { ines, makeOrder, tomas } from '../support/order';
import {
  abortedStory,
  hostileStory,
  skippedStory,
  stuckStory,
  stuckThenRetriedStory,
  succeededStory,
} from '../support/stories';

const refused = failure('PermanentError', 'no');
const view = (story: Story): RunView => runView(story.events, storyDeclaration, story.at);
const report = (story: Story) =>
  reportModel(story.events, storyDeclaration, { generatedAt: story.at, headHash: null, versions: {} });
const stepOf = (run: RunView, id: string): StepView => run.steps.find((step) => step.id === id)!;
const states = (run: RunView): Record<string, string> =>
  Object.fromEntries(run.steps.map(({ id, state }) => [id, state]));

describe('the view of a run', () => {
  test('every declared step is there from the first event on, in order and pending', () => {
    const run = view(new Story());
    expect(run.steps.map(({ id }) => id)).toEqual(storyDeclaration.steps.map(({ id }) => id));
    expect(new Set(run.steps.map(({ state }) => state))).toEqual(new Set(['pending']));
    expect(run).toMatchObject({ state: 'running', currentStep: null });
  });

  test('an abort that one of two asked for stands beside the run until it is taken back or takes effect', () => {
    const story = new Story();
    const asked = { epoch: 0, reason: 'Wrong server', approvals: 1, needed: 2, decision: 'abort' } as const;
    story.emit('approved', asked, { by: ines });
    expect(view(story)).toMatchObject({ state: 'running', halfAbort: { by: { name: ines.actor.name }, at: story.at } });
    story.emit(
      'approval-withdrawn',
      { epoch: 0, reason: 'It is the right one', approvals: 0, needed: 2 },
      { by: ines },
    );
    expect(view(story).halfAbort).toBeNull();
    story.emit('approved', asked, { by: ines });
    expect(view(story.abort('Wrong server', tomas)).halfAbort).toBeNull();
  });

  test('the steps of the real procedure are those of the stories', () => {
    expect(pushButtonDeclaration.steps.map(({ id }) => id)).toEqual(storyDeclaration.steps.map(({ id }) => id));
  });

  test('at every event of every story, all states are of the closed sets and the steps stay in place', () => {
    for (const story of [succeededStory(), stuckThenRetriedStory(), skippedStory(), abortedStory(), hostileStory()]) {
      for (let count = 1; count <= story.events.length; count += 1) {
        const run = runView(story.events.slice(0, count), storyDeclaration, story.at);
        expect(runStates).toContain(run.state);
        expect(run.steps.every(({ state }) => stepStates.includes(state))).toBe(true);
        expect(run.steps).toHaveLength(14);
      }
    }
  });

  test('the same events give the same view, and it is plain JSON', () => {
    fc.assert(
      fc.property(fc.nat(80), (count) => {
        const { events, at } = stuckThenRetriedStory();
        const some = events.slice(0, count + 1);
        const once = runView(some, storyDeclaration, at);
        expect(runView(some, storyDeclaration, at)).toEqual(once);
        expect(JSON.parse(JSON.stringify(once))).toEqual(once);
      }),
      { numRuns: 20 },
    );
  });

  test('a stuck run says where, since when, why and what may be answered', () => {
    const run = view(stuckStory());
    expect(run).toMatchObject({ state: 'stuck', currentStep: 'suspend-replication' });
    expect(run.parkings).toMatchObject([
      { until: null, waitingMs: 61_000, cause: expect.stringContaining('read-only') },
    ]);
    expect(run.parkings[0]!.allowed).toContain('skip');
  });

  test('a gate waits, and an approval lets the step run', () => {
    const story = new Story().announce('power-on');
    const epoch = story.gate('power-on', 'Power on?', 'The source answers.');
    expect(view(story)).toMatchObject({ state: 'waiting', currentStep: 'power-on' });
    expect(stepOf(view(story.decide(epoch, 'approve', 'source is cut off')), 'power-on').state).toBe('running');
  });

  test('a held run is held until somebody lets it go on', () => {
    const story = new Story().decide(0, 'hold', 'wait for the network team');
    expect(view(story).state).toBe('held');
    expect(view(story.decide(0, 'go-on', 'network is up')).state).toBe('running');
  });

  test('one disk of two that is stuck makes the step stuck; the other keeps its own state', () => {
    const story = new Story().announce('hand-over').attempt('hand-over', { item: 'disk0' });
    story.attempt('hand-over', { item: 'disk1', failure: refused }).park('hand-over', refused, { item: 'disk1' });
    expect(stepOf(view(story), 'hand-over')).toMatchObject({
      state: 'stuck',
      items: [
        { item: 'disk0', state: 'done' },
        { item: 'disk1', state: 'stuck' },
      ],
    });
  });

  test('durations of attempts are the activity’s own, not the workflow’s clock', () => {
    const story = new Story().announce('inoculate');
    const { token, attempt } = story.start('inoculate');
    story.pass(12_700);
    story.emit(
      'attempt-succeeded',
      { token, undo: false, result: null, durationMs: 2_700 },
      { step: 'inoculate', attempt },
    );
    expect(stepOf(view(story), 'inoculate').attempts[0]!.durationMs).toBe(2_700);
  });

  test('going back makes later steps pending, keeps earlier ones done and every attempt visible', () => {
    const story = stuckThenRetriedStory();
    const rewound = story.events.findIndex(({ kind }) => kind === 'rewound');
    const then = runView(story.events.slice(0, rewound + 1), storyDeclaration, story.at);
    expect(states(then)).toMatchObject({
      'apply-signature': 'done',
      inoculate: 'pending',
      'hand-over': 'pending',
      'prove-boot': 'pending',
    });
    expect(then.state).toBe('running');
    expect(stepOf(view(story), 'prove-boot').attempts.map(({ outcome }) => outcome)).toEqual(['failed', 'succeeded']);
    expect(stepOf(view(story), 'hand-over').attempts).toHaveLength(6);
  });

  test('an abort fails what was under way and undoes the rest', () => {
    const story = abortedStory();
    expect(states(view(story))).toMatchObject({
      preflight: 'done',
      freeze: 'undone',
      'apply-signature': 'undone',
      'create-machine': 'undone',
      'hand-over': 'pending',
    });
    const started = story.events.findIndex(({ kind }) => kind === 'undo-started');
    const then = runView(story.events.slice(0, started + 1), storyDeclaration, story.at);
    expect(then.state).toBe('undoing');
    expect(stepOf(then, 'create-machine').state).toBe('failed');
  });

  test('a gate that an abort ended did nothing, so it reads as undone and not as failed', () => {
    const story = new Story().announce('power-on');
    story.gate('power-on', 'Power on?', 'The source answers.');
    expect(stepOf(view(story.abort('source came back')), 'power-on').state).toBe('undone');
  });

  test('a step that today’s declaration does not know is shown after the others', () => {
    const last = view(new Story().step('defrost')).steps.at(-1)!;
    expect(last).toMatchObject({ id: 'defrost', position: 15, state: 'done' });
  });

  test('without its first event a run cannot be shown, and the message says so', () => {
    const story = succeededStory();
    expect(() => runView(story.events.slice(1), storyDeclaration, story.at)).toThrow(
      'needed the events of a run from its first on',
    );
  });
});

describe('a skipped step never reads as success', () => {
  test('one skipped disk of two is a skipped step and an exception with who, when and why', () => {
    expect(stepOf(view(skippedStory()), 'register-disks').state).toBe('skipped');
    expect(report(skippedStory())).toMatchObject({
      state: 'succeeded-with-exceptions',
      exceptions: [{ kind: 'skipped', step: 'register-disks', items: ['disk1'], by: { name: 'Tomáš Lindqvist' } }],
      headline: { tone: 'warning' },
    });
  });

  test('a run recorded as succeeded beside a skipped step is shown with exceptions', () => {
    const story = new Story().announce('preflight').emit('step-skipped', { reason: 'hurry' }, { step: 'preflight' });
    expect(view(story.close('succeeded', 'fine')).state).toBe('succeeded-with-exceptions');
  });

  test('a success without the proof of boot is called not proven', () => {
    const story = new Story().announce('prove-boot').emit('step-skipped', { reason: 'hurry' }, { step: 'prove-boot' });
    const { headline, proof } = report(story.close('succeeded-with-exceptions', ''));
    expect(headline).toMatchObject({ tone: 'bad', title: 'Recovered, not proven' });
    expect(proof).toBeNull();
  });

  test('a success with steps that were never reached lists them', () => {
    const kinds = report(new Story().step('preflight').close('succeeded', '')).exceptions.map(({ kind }) => kind);
    expect(kinds).toEqual(Array(13).fill('not-done'));
  });

  test('an undo that a person skipped is left behind, although the runner records the step as undone', () => {
    const made = report(abortedStory());
    expect(made.exceptions).toMatchObject([{ kind: 'left-behind', step: 'take-disks', by: { name: 'Ines Okafor' } }]);
    expect(made.headline.title).toBe('Aborted, not wholly undone');
  });

  test('an undo that worked after it had been skipped once leaves nothing behind', () => {
    const story = new Story(makeOrder()).step('take-disks');
    const epoch = story.park('take-disks', refused, { undo: true });
    story.decide(epoch, 'skip', 'later').emit('step-undone', {}, { step: 'take-disks' });
    expect(stepOf(view(story), 'take-disks').leftBehind).toBe(true);
    expect(stepOf(view(story.undo('take-disks')), 'take-disks')).toMatchObject({ leftBehind: false, state: 'undone' });
  });

  test('a missed objective is no plain success', () => {
    const { headline, objectives } = report(succeededStory(makeOrder({ requestedAt: '2026-03-14T01:00:00.000Z' })));
    expect(objectives.rto.verdict).toBe('missed');
    expect(headline.tone).toBe('warning');
    expect(headline.sentence).toContain('The recovery time objective was missed by');
  });
});

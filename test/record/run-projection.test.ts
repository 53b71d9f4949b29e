import fc from 'fast-check';
import type { RunEvent } from '../../model/events';
import { projectRun } from '../../model/run-projection';
import type { DecisionKind } from '../../model/steps';
import { at, closed, event, noted, opened } from '../store/run-events';

const failure = { family: 'PermanentError', message: 'no disk', remedy: null, detail: null } as const;
const parked = (epoch: number, second: number, undo = false): RunEvent =>
  event('parked', { epoch, undo, failure, allowed: ['retry'], remedy: '' }, { at: at(second), step: 'freeze' });
const gate = (epoch: number, second: number): RunEvent =>
  event(
    'gate-opened',
    { epoch, question: 'Power on?', allowed: ['approve'], because: 'the source answers' },
    { at: at(second) },
  );
const decided = (epoch: number, decision: DecisionKind): RunEvent =>
  event('decided', { epoch, decision, reason: 'because', from: null, input: null });
const undoStarted = event('undo-started', { because: 'aborted' });
const after = (...events: RunEvent[]) => projectRun(undefined, [opened('run-1'), ...events]);

test('a run that was opened is running, with who asked for it and which server', () => {
  expect(after()).toMatchObject({
    runId: 'run-1',
    procedure: 'push-button-recovery',
    serverName: 'app01',
    state: 'running',
    currentStep: null,
    requestedBy: 'Anna',
    startedAt: at(0),
    closedAt: null,
  });
});

test('the current step is the one announced or tried last', () => {
  const freeze = event('step-announced', { title: 'Freeze' }, { step: 'freeze' });
  const undo = event('attempt-started', { token: 2, undo: true }, { step: 'take-disks', attempt: 1 });
  expect(after(freeze)?.currentStep).toBe('freeze');
  expect(after(freeze, undo)?.currentStep).toBe('take-disks');
});

test('a parked step makes the run stuck since it was parked, until the last one is decided', () => {
  expect(after(parked(1, 10), parked(2, 20))).toMatchObject({ state: 'stuck', stuckSince: at(10) });
  expect(after(parked(1, 10), parked(2, 20), decided(1, 'retry'))).toMatchObject({
    state: 'stuck',
    stuckSince: at(20),
  });
  expect(after(parked(1, 10), decided(1, 'skip'))).toMatchObject({ state: 'running', stuckSince: null });
});

test('undoing goes before stuck, stuck before held, held before waiting', () => {
  expect(after(gate(1, 5))).toMatchObject({ state: 'waiting', stuckSince: null });
  expect(after(gate(1, 5), decided(0, 'hold'))).toMatchObject({ state: 'held' });
  expect(after(gate(1, 5), decided(0, 'hold'), decided(0, 'go-on'))).toMatchObject({ state: 'waiting' });
  expect(after(gate(1, 5), decided(0, 'hold'), parked(2, 10))).toMatchObject({ state: 'stuck' });
  expect(after(undoStarted, parked(3, 30, true))).toMatchObject({ state: 'undoing', stuckSince: at(30) });
});

test('claiming a stuck step leaves it stuck', () => {
  expect(after(parked(1, 10), decided(1, 'claim'))).toMatchObject({ state: 'stuck', stuckSince: at(10) });
});

test('an abort and a step back leave nothing waiting on the way forward', () => {
  expect(after(parked(1, 10), decided(0, 'abort'))).toMatchObject({ state: 'running', stuckSince: null });
  expect(after(parked(1, 10), parked(2, 11), decided(1, 'abort'), undoStarted)).toMatchObject({
    state: 'undoing',
    stuckSince: null,
  });
  expect(after(parked(1, 10), event('rewound', { from: 'x', to: 'freeze' }))).toMatchObject({
    state: 'running',
    currentStep: 'freeze',
  });
});

test('a closed run keeps its end, whatever comes after', () => {
  const over = after(parked(1, 10), closed(50));
  expect(over).toMatchObject({ state: 'succeeded', closedAt: at(50), currentStep: null, stuckSince: null });
  expect(projectRun(over, [parked(9, 60), noted('late')])).toEqual(over);
});

test('events before a run was opened give no row', () => {
  expect(projectRun(undefined, [noted('early'), parked(1, 1)])).toBeUndefined();
});

const anyEvent = fc.oneof(
  fc.tuple(fc.integer({ min: 1, max: 4 }), fc.nat(100), fc.boolean()).map((args) => parked(...args)),
  fc.tuple(fc.integer({ min: 1, max: 4 }), fc.nat(100)).map((args) => gate(...args)),
  fc
    .tuple(
      fc.integer({ min: 0, max: 4 }),
      fc.constantFrom<DecisionKind>('retry', 'skip', 'approve', 'abort', 'hold', 'go-on', 'claim'),
    )
    .map((args) => decided(...args)),
  fc.constantFrom(undoStarted, noted('x'), event('step-announced', { title: 'A' }, { step: 'a' }), closed()),
);

test('batches of any size, each stored as JSON in between, give the same projection', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 40 }), fc.array(fc.integer({ min: 1, max: 7 })), (events, sizes) => {
      const all = [opened('run-1'), ...events];
      let rest = all;
      let row: ReturnType<typeof projectRun>;
      for (const size of [...sizes, all.length]) {
        const stored = row === undefined ? undefined : (JSON.parse(JSON.stringify(row)) as typeof row);
        row = projectRun(stored, rest.slice(0, size));
        rest = rest.slice(size);
      }
      expect(row).toEqual(projectRun(undefined, all));
    }),
  );
});

test('the whole history a second time changes nothing', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 40 }), (events) => {
      const all = [opened('run-1'), ...events];
      const once = projectRun(undefined, all);
      expect(projectRun(once, all)).toEqual(once);
    }),
  );
});

test('the state always says what is open', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 40 }), (events) => {
      const run = projectRun(undefined, [opened('run-1'), ...events])!;
      expect(run.stuckSince !== null).toBe(run.open.some((one) => one.kind === 'stuck'));
      if (run.state === 'running') expect(run.open).toEqual([]);
      if (run.closedAt !== null) expect(run.open).toEqual([]);
    }),
  );
});

test('a plan is held when people hold something of it and nothing runs; what runs is not touched', () => {
  const place = { of: { kind: 'wave' as const, name: 'web' }, reason: 'Wait for the network' };
  const held = event('held', place);
  const started = event('attempt-started', { token: 1, undo: false }, { step: 'recover', item: 'db01', attempt: 1 });
  const ended = { token: 1, undo: false, result: null, durationMs: 1 };
  const succeeded = event('attempt-succeeded', ended, { step: 'recover', item: 'db01', attempt: 1 });
  const state = (...events: RunEvent[]) => projectRun({ ...after()!, procedure: 'plan' }, events)!.state;
  expect(state(held)).toBe('held');
  expect(state(started, held)).toBe('running');
  expect(state(started, held, succeeded)).toBe('held');
  expect(state(held, event('let-go-on', place))).toBe('running');
});

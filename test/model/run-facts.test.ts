/** What a run's row keeps of what people skipped, so that a plan can say it without reading the run's record. */
import type { RunEvent } from '../../model/events';
import { nextFacts, type RunFacts } from '../../model/run-facts';
import { makeOrder, tomas } from '../support/order';
import { event } from '../support/plan-story';

const opened = event('run-opened', 0, { order: makeOrder(), declaration: 'p', versions: {} });
const of = (...events: RunEvent[]): RunFacts => [opened, ...events].reduce<RunFacts | undefined>(nextFacts, undefined)!;

const announced = (step: string): RunEvent => event('step-announced', 1, { title: step }, { step });
const parked = (step: string, undo = false, item: string | null = null): RunEvent => {
  const failure = { family: 'OperatorError', message: 'no', remedy: null, detail: null };
  return event('parked', 2, { epoch: 1, undo, failure, allowed: ['skip'], remedy: '' }, { step, item });
};
const decided = (step: string, item: string | null = null): RunEvent => {
  const data = { epoch: 1, decision: 'skip', reason: 'It has them.', from: null, input: null };
  return event('decided', 3, data, { step, item, by: tomas });
};
const ended = (step: string, kind: 'step-skipped' | 'step-done', item: string | null = null): RunEvent =>
  event(kind, 4, kind === 'step-done' ? { result: null } : { reason: 'It has them.' }, { step, item });

const skip = { step: 'inoculate', item: null, undo: false, reason: 'It has them.', by: tomas };

test('a skip is kept once, with who and why; going back behind it, or doing it after all, takes it away', () => {
  const events = [
    announced('inoculate'),
    parked('inoculate'),
    decided('inoculate'),
    ended('inoculate', 'step-skipped'),
  ];
  expect(of(...events)).toMatchObject({ skipped: ['inoculate'], skips: [skip] });
  expect(of(...events).skips).toHaveLength(1);
  const back = event('rewound', 5, { from: 'prove-boot', to: 'inoculate' }, { step: 'inoculate' });
  expect(of(...events, back)).toMatchObject({ skipped: [], skips: [] });
  expect(of(...events, ended('inoculate', 'step-done'))).toMatchObject({ skipped: [], skips: [] });
});

test('the skip of an undo says that it is one', () => {
  const facts = of(announced('create-machine'), parked('create-machine', true), decided('create-machine'));
  expect(facts.skips).toMatchObject([{ step: 'create-machine', undo: true }]);
});

test('a script that was skipped stands, although its step was done', () => {
  const item = 'script:smoke';
  const place = ['prove-boot', item] as const;
  const events = [parked('prove-boot', false, item), decided(...place), ended('prove-boot', 'step-skipped', item)];
  expect(of(announced('prove-boot'), ...events, ended('prove-boot', 'step-done')).skips).toMatchObject([{ item }]);
});

test('a row that an earlier version began does not claim to know what was skipped before', () => {
  const { skips: _skips, ...old } = of(announced('inoculate'));
  const facts = [parked('inoculate'), decided('inoculate')].reduce<RunFacts | undefined>(nextFacts, old)!;
  expect(facts).not.toHaveProperty('skips');
  expect(facts.skipped).toEqual(['inoculate']);
});

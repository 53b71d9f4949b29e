/** What 500 seeds ask of a recovery: everything that can be drawn is drawn, and a seed always draws the same. */
import { recoveryOptions } from '../../model/replica';
import { drawFrom } from './draw';
import { partNames, planOf, weaknesses, type Ending, type Moment } from './plan';

const plans = Array.from({ length: 500 }, (_, index) => planOf(index + 1));
const kills = plans.flatMap((plan) => plan.kills);

test('a seed always has the same plan, and another seed another one', () => {
  expect(planOf(123)).toEqual(planOf(123));
  expect(new Set(plans.map((plan) => JSON.stringify({ ...plan, seed: 0 }))).size).toBe(500);
});

test('500 seeds have every option with every ending that it can have', () => {
  const found = new Set(plans.map(({ option, ending }) => `${option} ${ending.kind}`));
  const aborts: Ending['kind'][] = ['abort-at-gate', 'abort-when-stuck', 'abort-in-passing'];
  const straight = (option: string): Ending['kind'][] =>
    option === 'destructive' ? ['commit', 'roll-back'] : ['through'];
  const wanted = recoveryOptions.flatMap((option) => [...straight(option), ...aborts].map((end) => `${option} ${end}`));
  expect([...found].sort()).toEqual(wanted.sort());
});

test('500 seeds kill every part, at every kind of moment, and two at once', () => {
  expect(new Set(kills.flatMap(({ parts }) => parts))).toEqual(new Set(partNames));
  const moments: Moment['kind'][] = ['start', 'effects', 'decision', 'call'];
  expect(new Set(kills.map(({ moment }) => moment.kind))).toEqual(new Set(moments));
  expect(kills.some(({ parts }) => parts.includes('temporal') && parts.includes('worker'))).toBe(true);
  expect(kills.some(({ parts }) => parts.includes('postgres') && parts.includes('api'))).toBe(true);
});

test('500 seeds abort when stuck in every step that can be made to stay stuck', () => {
  const stuck = plans.flatMap(({ ending }) => (ending.kind === 'abort-when-stuck' ? [ending.weakness.step] : []));
  expect(new Set(stuck)).toEqual(new Set(weaknesses.map(({ step }) => step)));
});

test('a plan never asks for what the API refuses', () => {
  const impossible = plans.filter(
    ({ intent, source, finalCycle, mode, option }) =>
      (intent === 'planned' && (source === 'lost' || finalCycle === 'never')) ||
      (mode === 'rehearsal' && (source === 'lost' || option === 'destructive')),
  );
  expect(impossible).toEqual([]);
});

test('draws are spread evenly', () => {
  const draw = drawFrom(7);
  const counts = new Map<number, number>();
  for (let index = 0; index < 6_000; index += 1) {
    const face = draw.number(1, 6);
    counts.set(face, (counts.get(face) ?? 0) + 1);
  }
  expect([...counts.keys()].sort()).toEqual([1, 2, 3, 4, 5, 6]);
  for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(150);
});

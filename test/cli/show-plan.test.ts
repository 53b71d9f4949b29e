/** A plan on a terminal of 80 columns, of 5 servers and of 500. */
import { showPlan } from '../../cli/show-plan';
import { planView } from '../../model/plan-view/plan-view';
import { planDeclaration } from '../../workflows/plan.steps';
import { at, largeRunbook, planStory } from '../support/plan-story';
import { longestLine } from './muster';

function shown(text?: string): string {
  const { events, children } = planStory(text);
  const lines: string[] = [];
  const out = {
    ...{ json: false, width: 80, interactive: false, colors: { bold: (word: string) => word } as never },
    ...{ line: (line = '') => void lines.push(line), document: () => undefined, error: () => undefined },
  };
  showPlan(out, { view: planView(events, planDeclaration, children, at(200)), notice: null });
  return lines.join('\n');
}

test('says how far each wave is, who is stuck, who waits for what, and what is held', () => {
  const text = shown();
  expect(longestLine(text)).toBeLessThanOrEqual(80);
  expect(text).toMatch(/runbook +Web shop \(shop, version 3, aaaaaaaaaaaa…\)/);
  expect(text).toMatch(/^data +2\/2 +█{12}/m);
  expect(text).toMatch(/^application +0\/1 +░{12} +38\.0 s +1 stuck$/m);
  expect(text).toMatch(/^web +0\/2 .*waits for application$/m);
  expect(text).toMatch(/^app01 +application +STUCK +take-disks/m);
  expect(text).toMatch(/^pending +web01, web02 wait for application$/m);
  expect(text).toMatch(/held +wave web since .* by Tomáš Lindqvist: Wait\n +for the network team/);
});

test('500 servers fit a screen: what runs, waits or failed, and how many more', () => {
  const text = shown(largeRunbook(500));
  expect(longestLine(text)).toBeLessThanOrEqual(80);
  expect(text.split('\n').length).toBeLessThan(60);
  expect(text).toMatch(/^and \d+ more/m);
  expect(text.indexOf('app01')).toBeLessThan(text.indexOf('node1'));
});

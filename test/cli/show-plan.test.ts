/** A plan on a terminal of 80 columns, of 5 servers and of 500. */
import type { PlanDetail } from '../../cli/documents';
import { showPlan } from '../../cli/show-plan';
import { StateLines, stateBlock } from '../../cli/watch/state-lines';
import type { TimeLeft } from '../../model/estimate/time-left';
import type { PlanHeader } from '../../model/plan';
import { planView } from '../../model/plan-view/plan-view';
import { planDeclaration } from '../../workflows/plan.steps';
import { at, largeRunbook, planStory } from '../support/plan-story';
import { longestLine } from './muster';

/** As the API says it of a plan of which two servers never ran. */
const left: TimeLeft = {
  ...{ until: 'proof', ms: 1_500_000, lowMs: 1_400_000, highMs: 2_000_000, atLeast: true, neverRan: 2 },
  ...{ runs: 4, from: 'servers of similar size', sure: 'fairly', unknown: null },
};

function shown(text?: string, changes: Partial<PlanHeader> = {}): string {
  const { events, children } = planStory(text);
  const lines: string[] = [];
  const out = {
    ...{ json: false, width: 80, interactive: false, colors: { bold: (word: string) => word } as never },
    ...{ line: (line = '') => void lines.push(line), document: () => undefined, error: () => undefined },
  };
  const view = planView(events, planDeclaration, children, at(200));
  showPlan(out, { view: { ...view, order: { ...view.order, ...changes } }, notice: null, timeLeft: left });
  return lines.join('\n');
}

test('says how far each wave is, who is stuck, who waits for what, and what is held', () => {
  const text = shown();
  expect(longestLine(text)).toBeLessThanOrEqual(80);
  expect(text).toMatch(/runbook +Web shop \(shop, version 3, aaaaaaaaaaaa…\)/);
  expect(text.replace(/\s+/g, ' ')).toContain(
    'left at least 25 min 00 s to the proof (23 min 20 s to 33 min 20 s), fairly sure: 4 past runs of servers of similar size; 2 servers never ran here',
  );
  expect(text).toMatch(/^data +2\/2 +█{12}/m);
  expect(text).toMatch(/^application +0\/1 +░{12} +38\.0 s +1 stuck$/m);
  expect(text).toMatch(/^web +0\/2 .*waits for application$/m);
  expect(text).toMatch(/^app01 +application +STUCK +take-disks/m);
  expect(text).toMatch(/^db02 +data +failed/m);
  expect(text).toMatch(/^pending +web01, web02 wait for application$/m);
  expect(text).toMatch(/held +wave web since .* by Tomáš Lindqvist: Wait\n +for the network team/);
});

test('who waits for a place is said to, and whose limits are in the way', () => {
  const own = shown(largeRunbook(50));
  expect(own).toMatch(/^pending +.* wait for a free place$/m);
  const runbooks = ['evacuation', 'region', 'shops'];
  const partOf = { runId: 'r', workflowId: 'w', runbooks };
  const placesFrom = { workflowId: 'w', path: ['shops', 'shop'], runs: ['s', 'r'] };
  const included = shown(largeRunbook(50), { partOf, placesFrom });
  expect(included.replace(/\s+/g, ' ')).toContain(
    'wait for a free place; the limits of runbook region, which includes this one, hold here, too',
  );
});

test('500 servers fit a screen: what runs, waits or failed, and how many more', () => {
  const text = shown(largeRunbook(500));
  expect(longestLine(text)).toBeLessThanOrEqual(80);
  expect(text.split('\n').length).toBeLessThan(60);
  expect(text).toMatch(/^and \d+ more/m);
  expect(text.indexOf('app01')).toBeLessThan(text.indexOf('node1'));
});

describe('watched', () => {
  const detailOf = (text?: string, lasts = 200): PlanDetail => {
    const { events, children } = planStory(text);
    const view = planView(events, planDeclaration, children, at(lasts));
    return { runId: view.runId, kind: 'plan', view, timeLeft: left } as unknown as PlanDetail;
  };

  test('the foot of a terminal has each wave with what is done, runs, waits and is stuck, and the time left', () => {
    const lines = stateBlock({ width: 79, height: 12 }, detailOf());
    expect(longestLine(lines.join('\n'))).toBeLessThan(80);
    expect(lines[0]).toMatch(/^wave +done +running +waiting +stuck +failed$/);
    expect(lines).toContainEqual(expect.stringMatching(/^data +2\/2 +█{12} +· +· +· +1$/));
    expect(lines).toContainEqual(expect.stringMatching(/^application +0\/1 +░{12} +· +· +1 +·$/));
    expect(lines.join(' ')).toMatch(/left +at least 25 min 00 s to the proof/);
  });

  test('on a low terminal what waits for people stays, and the rest is counted', () => {
    const lines = stateBlock({ width: 79, height: 5 }, detailOf());
    expect(lines.join('\n')).toMatch(/^application .*\nand 2 more waves$/m);
  });

  test('as plain lines a wave is said again only when it has changed', () => {
    const lines = new StateLines({ width: 80 });
    expect(lines.of(detailOf()).slice(0, 3)).toEqual([
      'data        2/2 done, 1 failed',
      'application 0/1 done, 1 stuck',
      'web         0/2 done',
    ]);
    expect(lines.of(detailOf())).toEqual([]);
    expect(longestLine(new StateLines({ width: 80 }).of(detailOf(largeRunbook(500))).join('\n'))).toBeLessThan(81);
  });
});

/** A runbook of runbooks: what the plan that includes them says of all their servers, at any depth. */
import { planReport, type PlanReport } from '../../../model/plan-report';
import { withoutServersOfParts } from '../../../model/plan';
import { declarationOfPlan } from '../../../workflows/plan.steps';
import { tomas } from '../../support/order';
import { at } from '../../support/plan-story';
import {
  closed,
  evacuation,
  itemDone,
  partsStory,
  proven,
  skipped,
  type Happened,
  type PartsStory,
} from '../../support/plan-parts-story';

const reportOf = ({ order, events, children }: PartsStory, second = 1000): PlanReport =>
  planReport(events, declarationOfPlan(order), {
    ...{ generatedAt: at(second), headHash: null, versions: {}, children, past: [], text: null },
  });

const good = [...proven(60), ...closed(500, 'succeeded')];
const ended = closed(510, 'succeeded');
const all: Happened = {
  ...{ network: ended, 'db-dns01': good, office: ended, mail01: good, files01: good, labs: ended },
  lab01: [...proven(80), ...closed(500, 'succeeded')],
};
const own = [...itemDone('include', 'network', 100), ...itemDone('include', 'office', 200)];
const withExceptions = { office: closed(510, 'succeeded-with-exceptions') };
const endedWith = closed(520, 'succeeded-with-exceptions');

test('a server whose proof was skipped counts as recovered, and as not proven', () => {
  const mail01 = [...skipped('prove-boot', 90, 'Its agent is broken.'), ...closed(500, 'succeeded-with-exceptions')];
  const { headline } = reportOf(partsStory({ ...all, ...withExceptions, mail01 }, [...own, ...endedWith]));
  expect(headline.sentence).toContain('4 of 4 servers recovered, 1 not proven, in ');
});

test('an evacuation counts the servers of what it includes: headline, tiers, target, actual and margin', () => {
  const report = reportOf(partsStory(all, [...own, ...closed(520, 'succeeded')]));
  expect(report).toMatchObject({ serverCount: 4, done: 4, counts: { succeeded: 4 }, exceptions: [] });
  expect(report.headline).toMatchObject({
    ...{ tone: 'good', title: 'Recovered and proven' },
    sentence: expect.stringContaining('4 of 4 servers'),
  });
  const [whole, ...tiers] = report.tiers;
  expect(whole).toMatchObject({
    servers: 4,
    rpo: { verdict: 'met', targetMs: 300_000, actualMs: 12_000 },
    rto: { verdict: 'met', targetMs: 14_400_000, actualMs: 80_000, marginMs: 14_320_000, server: 'lab01' },
  });
  expect(tiers.map(({ tier, servers, rto }) => [tier, servers, rto.verdict, rto.actualMs])).toEqual([
    ...[
      [1, 1, 'unknown', 60_000],
      [2, 3, 'met', 80_000],
    ],
  ]);
});

test('what has not begun counts, too: nothing is met before the last server of all is proven', () => {
  const { office: _office, mail01: _mail, files01: _files, labs: _labs, lab01: _lab, ...begun } = all;
  const { tiers, parts, serverCount, done } = reportOf(partsStory(begun, own.slice(0, 2)), 300);
  expect([serverCount, done]).toEqual([4, 1]);
  expect(tiers[0]!.rto).toMatchObject({ verdict: 'unknown', because: '3 of 4 servers are not proven.' });
  expect(tiers.find(({ tier }) => tier === 2)).toMatchObject({ servers: 3, rto: { verdict: 'unknown' } });
  expect(parts.map(({ name, done: of, serverCount: count }) => [name, of, count])).toEqual([
    ...[
      ['network', 1, 1],
      ['office', 0, 3],
    ],
  ]);
});

test('a step skipped two runbooks deep is an exception of the outer report, with where it is, who and why', () => {
  const lab01 = [...proven(80), ...skipped('await-backup', 90, 'No tape tonight.'), ...closed(500, 'succeeded')];
  const report = reportOf(partsStory({ ...all, ...withExceptions, lab01 }, [...own, ...endedWith]));
  expect(report.exceptions).toMatchObject([
    {
      ...{ what: 'lab01', kind: 'step-skipped', within: ['office', 'labs'], runId: 'run-labs-1' },
      reason: 'Skipped in its own run: await-backup (No tape tonight.).',
      by: { actor: { name: 'Tomáš Lindqvist' } },
    },
  ]);
  expect(report.headline).toMatchObject({ tone: 'warning', title: 'Recovered, with 1 exception' });
});

test('a server that an included runbook went on without is one, and so is one that it gave up', () => {
  const happened = {
    ...{ ...all, ...withExceptions, mail01: closed(70, 'aborted'), files01: closed(80, 'failed') },
    office: [...skipped('recover', 90, 'Mail is at the provider.', 'mail01'), ...withExceptions.office],
  };
  const report = reportOf(partsStory(happened, [...own, ...endedWith]));
  expect(report.exceptions.map(({ what, kind, within, reason }) => [what, kind, within, reason])).toEqual([
    ['mail01', 'skipped', ['office'], 'Mail is at the provider.'],
    ['files01', 'failed', ['office'], expect.stringContaining('undone')],
  ]);
  expect(report.tiers[0]!.rto.because).toMatch(/^Not recovered: mail01 \(skipped\), files01 \(failed\)\./);
});

test('what an included runbook gave up that never had a run of its own has failed, said with the cause', () => {
  const order = evacuation();
  const optional = { kind: 'optional' as const, giveUpAfterMs: 900_000 };
  const parts = order.parts.map((one) => {
    const servers = one.order.servers.map((server) => ({ ...server, failure: optional }));
    return { ...one, order: { ...one.order, servers } };
  });
  const { mail01: _mail, ...begun } = all;
  const reason = 'Given up after 15 min: mail01 is held by another run';
  const itself = { actor: { kind: 'workflow' as const, id: 'plan-office', name: 'plan' } };
  const given = skipped('recover', 90, reason, 'mail01').map((one) => ({ ...one, by: { ...one.by, ...itself } }));
  const happened = { ...begun, ...withExceptions, office: [...given, ...withExceptions.office] };
  const report = reportOf(partsStory(happened, [...own, ...endedWith], { ...order, parts }));
  expect(report.exceptions).toMatchObject([{ what: 'mail01', kind: 'failed', within: ['office'], reason }]);
  expect(report).toMatchObject({ done: 4, counts: { failed: 1, succeeded: 3 } });
});

test('what an earlier run of an included runbook left is an exception, though it was started again and ended well', () => {
  const story = partsStory(all, [...own, ...endedWith]);
  const rowOf = (name: string) => story.children.find(({ serverName }) => serverName === name)!;
  const before = { startedAt: at(0), state: 'aborted' as const };
  const skip = { step: 'take-disks', item: null, undo: true, reason: 'As it is.', by: tomas, at: at(40) };
  const { facts, ...mail01 } = rowOf('mail01');
  const children = [
    { ...rowOf('office'), ...before, runId: 'plan-office-0' },
    { ...mail01, ...before, runId: 'run-office-0', parentRunId: 'plan-office-0', facts: { ...facts!, skips: [skip] } },
    ...story.children,
  ];
  expect(reportOf({ ...story, children }).exceptions).toMatchObject([
    {
      ...{ what: 'mail01', kind: 'not-undone', within: ['office'], runId: 'run-office-0' },
      reason: 'take-disks: As it is.',
    },
  ]);
});

test('a runbook that was skipped, and a script of the plan itself', () => {
  const { office: _office, mail01: _mail, files01: _files, labs: _labs, lab01: _lab, ...begun } = all;
  const script = skipped('scripts', 300, 'The balancer is by hand.', 'script:balancer');
  const events = [...own.slice(0, 2), ...skipped('include', 200, 'Not tonight.', 'office'), ...script, ...endedWith];
  const report = reportOf(partsStory(begun, events));
  expect(report.exceptions.map(({ what, kind, reason }) => [what, kind, reason])).toEqual(
    expect.arrayContaining([
      ['Runbook office', 'skipped', 'Not tonight.'],
      ['Scripts before and after waves: script:balancer', 'skipped', 'The balancer is by hand.'],
    ]),
  );
  expect(report.counts).toEqual({ skipped: 3, succeeded: 1 });
});

test.each([
  [
    'a server whose script was skipped',
    { mail01: [...proven(60), ...skipped('prove-boot', 61, 'No.', 'script:smoke')] },
  ],
  ['a part of which nobody says what was skipped', {}],
])('no headline is good when the run ended with exceptions: %s', (_which, changes: Happened) => {
  const report = reportOf(partsStory({ ...all, ...withExceptions, ...changes }, [...own, ...endedWith]));
  expect(report.headline.tone).toBe('warning');
  expect(report.exceptions).toHaveLength(1);
  const nothingFound = reportOf(partsStory(all, [...own, ...endedWith]));
  expect(nothingFound.headline).toMatchObject({ tone: 'warning', title: 'Recovered, with exceptions' });
});

test('a record of an earlier version does not name the servers: those that ran are known, the others are counted', () => {
  const story = partsStory(all, own);
  const opened = story.events[0]!;
  if (opened.kind !== 'plan-opened') throw new Error('It begins with its opening.');
  const old = { ...opened, data: { ...opened.data, order: withoutServersOfParts(opened.data.order) } };
  const events = [old, ...story.events.slice(1)];
  expect(reportOf({ ...story, events })).toMatchObject({
    serverCount: 4,
    done: 4,
    tiers: [{ rto: { actualMs: 80_000 } }, {}, {}],
  });
  const children = story.children.filter(({ serverName }) => serverName !== 'lab01');
  const { serverCount, tiers } = reportOf({ ...story, events, children });
  expect(serverCount).toBe(4);
  expect(tiers[0]!.rto).toMatchObject({ verdict: 'unknown', because: '1 of 4 servers are not proven.' });
});

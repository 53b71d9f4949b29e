/** The report of a plan: what comes first, what is escaped, and how large it gets. */
import { planReport, type PlanReportContext } from '../../model/plan-report';
import { pastPlan, type PastRow } from '../../model/plan-view/past-plan';
import { renderPlanReportHtml } from '../../templates/render';
import { declarationOfPlan, planDeclaration } from '../../workflows/plan.steps';
import { sampleEvacuation, sampleRehearsal } from '../support/plan-parts-samples';
import { storyStart } from '../support/order';
import { at, largeRunbook, planStory, type PlanStory } from '../support/plan-story';
import { sampleRunbook } from '../support/plan-sample';

const past: PastRow = {
  ...{ runId: 'r-1', mode: 'rehearsal', state: 'succeeded', startedAt: storyStart, closedAt: at(200) },
  ...{ runbookVersion: 2, runbookSha256: 'b'.repeat(64), facts: null },
};

function reportOf({ events, children, told }: PlanStory, changes: Partial<PlanReportContext> = {}) {
  return planReport(events, planDeclaration, {
    ...{ generatedAt: at(200), headHash: 'c'.repeat(64), versions: { muster: '0.1.0' }, children, text: sampleRunbook, told },
    past: [{ plan: pastPlan(past, children), children }],
    ...changes,
  });
}

test('says the result first, then exceptions, then objectives, and everything that people did', () => {
  const html = renderPlanReportHtml(reportOf(planStory()));
  const headings = [...html.matchAll(/<h[12] id="([\w-]+)"/g)].map((match) => match[1]);
  expect(headings.slice(0, 3)).toEqual(['verdict', 'exceptions', 'objectives']);
  expect(headings).toEqual(expect.arrayContaining(['waves', 'wave-1', 'gates', 'holds', 'told', 'trend', 'runbook']));
  for (const words of [
    'Failed: db02',
    'Tomáš Lindqvist decided approve',
    'Counted the orders.',
    'Wait for the network team.',
    'ops@example.org',
    'Not recovered: db02 (failed).',
    'SHA-256 <code>aaaa',
    'question: Are the data good?',
  ]) {
    expect(html).toContain(words);
  }
});

test('who was told is what the outbox has; with Postgres away the report says that it does not know', () => {
  const html = renderPlanReportHtml(reportOf(planStory()));
  expect(html).toMatch(/gate: gate application<\/div><\/td>.*ops@example\.org.*>sent</);
  expect(html).toMatch(/gate, again: gate application<\/div><\/td>.*on-call@example\.org.*>could not be delivered<\/span> 550/);
  const away = renderPlanReportHtml(reportOf(planStory(), { told: null }));
  expect(away).toContain('Postgres did not answer when this report was made');
  expect(renderPlanReportHtml(reportOf(planStory(), { told: [] }))).toContain('Nobody was told anything of this run.');
});

test('an exception in an included runbook says where it is and leads to its report', () => {
  const { order, events, children } = sampleEvacuation;
  const report = planReport(events, declarationOfPlan(order), {
    ...{ generatedAt: at(600), headHash: null, versions: {}, children, past: [], text: null },
  });
  const html = renderPlanReportHtml(report);
  expect(html).toContain('Not every step was done: lab01 <span class="item">in runbook office, labs</span>');
  expect(html).toContain('<a href="../run-labs-1/report?format=html">its report');
  expect(html).toContain('<th scope="row">office / labs</th>');
  expect(html).toMatch(/<h2 id="part-office-labs">Runbook office \/ labs<\/h2>[^]*<th scope="row">lab01<\/th>/);
  expect(html).not.toContain('id="waves"');
});

test('a rehearsal sums up isolation and clean-up by server, what is left item by item, and the end of its networks', () => {
  const { order, events, children } = sampleRehearsal;
  const context = { generatedAt: at(600), headHash: null, versions: {}, children, past: [], text: null };
  const html = renderPlanReportHtml(planReport(events, declarationOfPlan(order), context));
  const section = /<section aria-labelledby="rehearsal">([^]*?)<\/section>/.exec(html)![1]!;
  expect(section).toContain('Of 4 servers 3 were shown to be isolated as they ran, and 2 left nothing behind.');
  const row = (name: string): string => section.split('\n').find((line) => line.includes(`>${name}`))!;
  expect(row('db-dns01')).toMatch(/>isolated<\/span> 1 card on muster-lab, .*>nothing left<\/span> 12 items compared/);
  expect(row('mail01')).toMatch(/>not proven clean<\/span> The rehearsal of mail01 is not cleaned up/);
  expect(section).toContain('<li>network muster-lab: before not there, after active</li>');
  expect(row('lab01')).toMatch(/>not shown<\/span> .*>not shown</);
  expect(section).toMatch(/frankfurt: muster-lab — gone; the platform was asked again at/);
  expect(section).not.toContain('class="absent"');
  const noted = JSON.parse(JSON.stringify(children).replaceAll('"because":null', '"because":"Replication stands."')) as typeof children;
  const withNote = renderPlanReportHtml(planReport(events, declarationOfPlan(order), { ...context, children: noted }));
  expect(withNote).toMatch(/>nothing left<\/span> 12 items compared, at [^<]*\. Replication stands\.</);
  const unproven = events.filter(({ step }) => step !== 'remove-networks');
  expect(renderPlanReportHtml(planReport(unproven, declarationOfPlan(order), context))).toContain(
    '<p class="absent">Made for this run: muster-lab. The record does not show that these are gone: muster-lab.</p>',
  );
});

test('what steps cost is compared with past runs of the same mode alone', () => {
  const story = planStory();
  const run = { plan: pastPlan(past, story.children), children: story.children };
  const before = (mode: PastRow['mode']) => [{ ...run, plan: { ...run.plan, mode } }];
  expect(reportOf(story, { past: before('rehearsal') }).costs[0]).toMatchObject({ pastMedianMs: null, pastRuns: 0 });
  expect(reportOf(story, { past: before('recovery') }).costs[0]).toMatchObject({ pastMedianMs: 54_000, pastRuns: 1 });
});

test('each server is one row that leads to its own report', () => {
  const story = planStory();
  const html = renderPlanReportHtml(reportOf(story));
  const runId = story.order.servers[0]!.order.runId;
  expect(html).toContain(`<a href="../${runId}/report?format=html">`);
  expect(html.match(/<th scope="row">web02<\/th>/g)).toHaveLength(1);
});

test('a text that was not imported is not shown, and its hash is', () => {
  const html = renderPlanReportHtml(reportOf(planStory(), { text: null }));
  expect(html).toContain('The text was not imported');
});

test('escapes foreign text and carries no terminal sequence', () => {
  const story = planStory();
  const nasty = '<script>alert(1)</script>\u001b[31m\u202e{{x}}';
  const events = JSON.parse(
    JSON.stringify(story.events)
      .replaceAll('Counted the orders.', JSON.stringify(nasty).slice(1, -1))
      .replaceAll('Databases', '</style><b>x</b>'),
  ) as typeof story.events;
  const html = renderPlanReportHtml(reportOf({ ...story, events }, { text: nasty })).replace(/<style>[^]*?<\/style>/, '');
  expect(html).not.toMatch(/<(script|iframe|b|i|svg)\b/);
  expect(html.replace(/[\n\t]/g, '')).not.toMatch(/[\p{Cc}\u202a-\u202e]/u);
  expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
});

test('500 servers are less than 2 MB', () => {
  const html = renderPlanReportHtml(reportOf(planStory(largeRunbook(500)), { text: largeRunbook(500) }));
  expect(html).toContain('node500');
  expect(Buffer.byteLength(html)).toBeLessThan(2_000_000);
});

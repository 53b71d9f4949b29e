/** Golden files: what a report says must change only where somebody meant it to. UPDATE_EXPECTED=1 writes them anew. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { reportModel } from '../../model/report';
import type { RunReport } from '../../model/report';
import { renderReportHtml } from '../../templates/render';
import { pushButtonDeclaration } from '../../workflows/push-button-recovery.steps';
import { storyDeclaration } from '../support/declaration';
import type { Story } from '../support/events';
import { abortedStory, hostileStory, skippedStory, stuckStory, stuckThenRetriedStory, succeededStory } from '../support/stories';

const headHash = createHash('sha256').update('head').digest('hex');

function reportOf(story: Story): RunReport {
  return reportModel(story.events, storyDeclaration, { generatedAt: story.at, headHash, versions: { node: '20' } });
}

function htmlOf(story: Story): string {
  return renderReportHtml(reportOf(story), { evidence: (sha256) => story.files.get(sha256) });
}

/** Without the style sheet, and pictures by their hash: neither is what the golden file is about. */
function normalised(html: string): string {
  const picture = (data: string): string => `picture:${createHash('sha256').update(data).digest('hex').slice(0, 16)}`;
  return html
    .replace(/<style>[^]*<\/style>/, '<style></style>')
    .replace(/data:image\/png;base64,[^"]*/g, picture);
}

function expectGolden(file: string, found: string): void {
  const path = join(__dirname, file);
  if (process.env.UPDATE_EXPECTED === '1') writeFileSync(path, found);
  if (!existsSync(path)) throw new Error(`${file} is missing: run this test with UPDATE_EXPECTED=1 and read what it wrote.`);
  expect(found).toBe(readFileSync(path, 'utf8'));
}

describe.each([
  ['succeeded', succeededStory],
  ['stuck-then-retried', stuckThenRetriedStory],
  ['skipped', skippedStory],
  ['aborted', abortedStory],
] as const)('the report of a run: %s', (name, story) => {
  test('as JSON', () => expectGolden(`${name}.expected.json`, `${JSON.stringify(reportOf(story()), null, 2)}\n`));
  test('as HTML', () => expectGolden(`${name}.expected.html`, normalised(htmlOf(story()))));
});

describe('the report', () => {
  test('names exceptions before everything but the result', () => {
    const html = htmlOf(skippedStory());
    const headings = [...html.matchAll(/<h[12] id="(\w+)"/g)].map((match) => match[1]);
    expect(headings.slice(0, 3)).toEqual(['verdict', 'exceptions', 'objectives']);
  });

  test('of a run that waits says for what, in its first section', () => {
    expect(htmlOf(stuckStory())).toMatch(/id="waiting">Waits for a decision/);
  });

  test('puts each step beside its median of past runs of the same mode and option, and shows their trend', () => {
    const story = succeededStory();
    const { order } = reportOf(story);
    const run = {
      ...{ runId: 'past', procedure: 'push-button-recovery', mode: order.mode, option: order.option, diskBytes: 1 },
      ...{ serverId: order.server.id, siteId: 'frankfurt', closedAt: '2026-03-01T00:00:00.000Z', rpoMs: 4_000 },
      ...{ toProofMs: 77_000, steps: { inoculate: 11_000 } },
    };
    const slow = { toProofMs: 999_000, steps: { inoculate: 990_000 } };
    const past = [
      run,
      { ...run, ...slow, mode: order.mode === 'recovery' ? ('rehearsal' as const) : ('recovery' as const) },
      { ...run, ...slow, closedAt: story.at },
      { ...run, option: 'destructive' as const, steps: { inoculate: 500_000 }, toProofMs: 55_000 },
    ];
    const context = { generatedAt: story.at, headHash, versions: {} };
    const report = reportModel(story.events, storyDeclaration, { ...context, past });
    const inoculate = report.past!.costs.find(({ step }) => step === 'inoculate');
    expect(inoculate).toMatchObject({ pastMedianMs: 11_000, pastRuns: 1 });
    expect(report.past!.costs.map(({ machineMs }) => machineMs)).toEqual(
      report.past!.costs.map(({ machineMs }) => machineMs).sort((a, b) => b - a),
    );
    expect(report.past!.trend.map(({ toProofMs }) => toProofMs)).toEqual([77_000, 55_000]);
    const html = renderReportHtml(report, { evidence: () => undefined });
    expect(html).toMatch(/Compared with past runs[^]*11\.0 s[^]*1 min 17 s/);
    const away = reportModel(story.events, storyDeclaration, { ...context, past: null });
    expect(renderReportHtml(away, { evidence: () => undefined })).toContain('past runs of this server are not known here');
  });

  test('renders the real declaration, whatever its words', () => {
    const { events, at, files } = succeededStory();
    const report = reportModel(events, pushButtonDeclaration, { generatedAt: at, headHash: null, versions: {} });
    expect(renderReportHtml(report, { evidence: (sha256) => files.get(sha256) })).toContain('not known: the journal');
  });

  test('escapes foreign text and carries no terminal sequence', () => {
    const html = htmlOf(hostileStory()).replace(/<style>[^]*<\/style>/, '');
    expect(html).not.toMatch(/<(script|iframe|b|i|svg)\b/);
    expect(html).not.toMatch(/<img src=x/);
    expect(html.replace(/[\n\t]/g, '')).not.toMatch(/[\p{Cc}\u202a-\u202e]/u);
    expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;app');
  });

  test('embeds a picture by its bytes, not by what the record calls it', () => {
    expect(htmlOf(hostileStory())).not.toContain('data:image/svg');
    expect(htmlOf(succeededStory())).toContain('src="data:image/png;base64,');
  });

  test('says which evidence is missing or changed, and shows neither', () => {
    const report = reportOf(succeededStory());
    expect(renderReportHtml(report, { evidence: () => undefined })).toContain('was not in the evidence folder');
    const changed = renderReportHtml(report, { evidence: () => Buffer.from('swapped') });
    expect(changed).toContain('The file has changed: its SHA-256 is');
    expect(changed).not.toMatch(/data:image\/png|swapped/);
  });

  test('long text is cut to its end, and says so', () => {
    const story = succeededStory();
    const content = Buffer.from(`start${'x'.repeat(70_000)}end`);
    story.evidence({ what: 'Log', name: 'log.txt', mediaType: 'text/plain', content }, { step: 'prove-boot' });
    expect(htmlOf(story)).toContain('Only the last 64 KiB are shown here.');
    expect(htmlOf(story)).not.toContain('startxxx');
  });
});

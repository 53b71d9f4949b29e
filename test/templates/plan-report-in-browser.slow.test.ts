/** The report of a plan as its readers meet it: on a phone and at a desk, in the system's Chromium. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium, type Browser } from 'playwright-core';
import { planReport } from '../../model/plan-report';
import { renderPlanReportHtml } from '../../templates/render';
import { declarationOfPlan, planDeclaration } from '../../workflows/plan.steps';
import { sampleEvacuation, sampleRehearsal } from '../support/plan-parts-samples';
import { sampleRunbook } from '../support/plan-sample';
import { at, largeRunbook, planStory } from '../support/plan-story';

let browser: Browser;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-plan-report-'));
  for (const [name, text] of [['small', sampleRunbook], ['large', largeRunbook(500)]] as const) {
    const { events, children } = planStory(text);
    const context = { generatedAt: at(200), headHash: 'c'.repeat(64), versions: {}, children, past: [], text };
    await writeFile(join(folder, `${name}.html`), renderPlanReportHtml(planReport(events, planDeclaration, context)));
  }
  for (const [name, { order, events, children }] of [['parts', sampleEvacuation], ['rehearsed', sampleRehearsal]] as const) {
    const context = { generatedAt: at(600), headHash: null, versions: {}, children, past: [], text: null, told: null };
    const report = planReport(events, declarationOfPlan(order), context);
    await writeFile(join(folder, `${name}.html`), renderPlanReportHtml(report));
  }
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
}, 60_000);

afterAll(async () => {
  await browser.close();
  await rm(folder, { recursive: true });
});

const titles = {
  ...{ small: 'Still running', large: 'Still running' },
  ...{ parts: 'Recovered, with 1 exception', rehearsed: 'Rehearsed, with 2 exceptions' },
};

/** Times of objectives, and parts of ids, that a desk's page breaks in the middle. */
const brokenTimes = `[...document.querySelectorAll('.objectives td:not(:last-child) > div, .rehearsed td:last-child > div')]
  .filter((cell) => cell.offsetHeight >= 2 * parseFloat(getComputedStyle(cell).lineHeight))
  .map((cell) => cell.textContent)`;

test.each([
  ['small', 1280],
  ['small', 375],
  ['large', 1280],
  ['large', 375],
  ['parts', 1280],
  ['parts', 375],
  ['rehearsed', 1280],
  ['rehearsed', 375],
] as const)('of %s size fits %d pixels, asks for nothing, and complains about nothing', async (name, width) => {
  const page = await browser.newPage({ viewport: { width, height: 800 } });
  const complaints: string[] = [];
  const requests: string[] = [];
  page.on('console', (message) => complaints.push(message.text()));
  page.on('request', (request) => requests.push(request.url()));
  try {
    await page.goto(pathToFileURL(join(folder, `${name}.html`)).href);
    expect(complaints).toEqual([]);
    expect(requests).toHaveLength(1);
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    expect(await page.locator('h1').innerText()).toBe(titles[name]);
    expect(await page.locator('.servers tbody tr').count()).toBe({ small: 5, large: 505, parts: 4, rehearsed: 4 }[name]);
    expect(await page.locator('.rehearsed tbody tr').count()).toBe(name === 'rehearsed' ? 4 : 0);
    if (width > 1000) expect(await page.evaluate(brokenTimes)).toEqual([]);
  } finally {
    await page.close();
  }
}, 60_000);

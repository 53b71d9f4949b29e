/** The report as its readers meet it: a phone, a desk, paper; in the system's Chromium. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import type { Browser, Page } from 'playwright-core';
import type { PastTimes } from '../../model/estimate/past';
import { reportModel } from '../../model/report';
import { renderReportHtml } from '../../templates/render';
import { planStory } from '../support/plan-story';
import { storyDeclaration } from '../support/declaration';
import type { Story } from '../support/events';
import { abortedStory, hostileStory, skippedStory, stuckStory, stuckThenRetriedStory, succeededStory } from '../support/stories';

const stories = { abortedStory, hostileStory, skippedStory, stuckStory, stuckThenRetriedStory, succeededStory };
let browser: Browser;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-report-'));
  for (const [name, story] of Object.entries(stories)) await writeFile(join(folder, `${name}.html`), html(story()));
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
});

afterAll(async () => {
  await browser.close();
  await rm(folder, { recursive: true });
});

const past: PastTimes = {
  ...{ runId: 'past', procedure: 'push-button-recovery', diskBytes: 1, serverId: 's' },
  mode: 'recovery',
  option: 'backup-and-recover',
  ...{ siteId: 'frankfurt', closedAt: '2026-03-01T00:00:00.000Z', rpoMs: 4_000, toProofMs: 77_000 },
  steps: { inoculate: 11_000 },
};

function html(story: Story): string {
  const context = { generatedAt: story.at, headHash: 'e'.repeat(64), versions: {}, told: planStory().told, past: [past] };
  const report = reportModel(story.events, storyDeclaration, context);
  return renderReportHtml(report, { evidence: (sha256) => story.files.get(sha256) });
}

interface Opened {
  readonly page: Page;
  readonly complaints: string[];
  readonly requests: string[];
}

async function opened(name: string, width: number, act: (opened: Opened) => Promise<void>): Promise<void> {
  const page = await browser.newPage({ viewport: { width, height: 800 } });
  const seen: Opened = { page, complaints: [], requests: [] };
  page.on('console', (message) => seen.complaints.push(message.text()));
  page.on('pageerror', (error) => seen.complaints.push(String(error)));
  page.on('request', (request) => seen.requests.push(request.url().slice(0, 200)));
  try {
    await page.goto(pathToFileURL(join(folder, `${name}.html`)).href);
    await act(seen);
  } finally {
    await page.close();
  }
}

/** Texts of elements that reach beyond the window's right edge. */
const overflowing = (page: Page): Promise<string[]> =>
  page.evaluate(
    `[...document.querySelectorAll('main *')]
      .filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5 && !one.closest('thead, .track'))
      .map((one) => one.outerHTML.slice(0, 120))`,
  );

/** Links within the report whose target is not there exactly once. */
const brokenLinks = (page: Page): Promise<string[]> =>
  page.evaluate(
    `[...document.querySelectorAll('a[href^="#"]')].map((one) => one.hash.slice(1))
      .filter((id) => document.querySelectorAll('[id="' + id + '"]').length !== 1)`,
  );

describe.each(Object.keys(stories))('%s', (name) => {
  test.each([360, 1280])('fits a window of %d px, complains of nothing, asks for nothing and has a target for every link', async (width) => {
    await opened(name, width, async ({ page, complaints, requests }) => {
      expect(await overflowing(page)).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
      expect(complaints).toEqual([]);
      expect(requests.filter((url) => !url.startsWith('data:'))).toHaveLength(1);
      expect(await page.evaluate('document.scripts.length')).toBe(0);
      expect(await brokenLinks(page)).toEqual([]);
    });
  });
});

test('a reader that hears finds one title, headings in order, landmarks, named pictures and headed tables', async () => {
  await opened('stuckThenRetriedStory', 1280, async ({ page }) => {
    expect(await page.getByRole('heading', { level: 1 }).allTextContents()).toEqual(['Recovered and proven']);
    const levels = await page.evaluate<number[]>(
      `[...document.querySelectorAll('h1,h2,h3,h4')].map((one) => Number(one.tagName[1]))`,
    );
    expect(levels.every((level, i) => i === 0 || level - levels[i - 1]! <= 1)).toBe(true);
    for (const role of ['banner', 'main', 'contentinfo'] as const) expect(await page.getByRole(role).count()).toBe(1);
    expect(await page.getByRole('img', { name: 'Screenshot of the recovered machine' }).count()).toBe(1);
    const region = page.getByRole('region', { name: 'Decisions', exact: true });
    expect(await region.getByRole('columnheader').first().textContent()).toBe('When');
    expect(await region.getByRole('cell').count()).toBe(14);
  });
});

test.each(['light', 'dark'] as const)('text stands out from its ground, %s', async (colorScheme) => {
  await opened('skippedStory', 1280, async ({ page }) => {
    await page.emulateMedia({ colorScheme });
    const ratios = await page.evaluate<{ text: string; ratio: number }[]>(contrastScript);
    expect(ratios.length).toBeGreaterThan(100);
    expect(ratios.filter(({ ratio }) => ratio < 4.5)).toEqual([]);
  });
});

test('prints on A4 in few pages, with what is folded on the screen unfolded', async () => {
  await opened('stuckThenRetriedStory', 1280, async ({ page }) => {
    const pdf = await page.pdf({ preferCSSPageSize: true });
    const pages = pdf.toString('latin1').match(/\/Type \/Page\b/g) ?? [];
    expect(pages.length).toBeGreaterThan(3);
    expect(pages.length).toBeLessThan(14);
    expect(pdf.toString('latin1')).toMatch(/\/MediaBox \[0 0 59[45]\.?\d* 84[12]/);
    await page.emulateMedia({ media: 'print' });
    await page.setViewportSize({ width: 672, height: 900 });
    expect(await overflowing(page)).toEqual([]);
    expect(await page.getByText('Gave up waiting for root file system device.').isVisible()).toBe(true);
  });
});

/** WCAG 2 contrast of every piece of text with the colour that lies behind it. */
const contrastScript = `(() => {
  const channel = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const parse = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll('body *')]
    .filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== ''))
    .filter((one) => one.checkVisibility())
    .map((one) => {
      const [a, b] = [light(parse(getComputedStyle(one).color)), light(ground(one))];
      return { text: one.textContent.trim().slice(0, 40), ratio: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) };
    });
})()`;

/** The report of a run: one self-contained HTML file, or JSON. */
import { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { reportModel, type RunReport } from '../../model/report';
import { renderPlanReportHtml, renderReportHtml } from '../../templates/render';
import type { ApiDeps, ApiEnv } from '../deps';
import { planReportOf } from '../plans/report';
import type { Register } from '../register';
import { pastOf } from '../runs/past';
import { readRun } from '../runs/read';
import { toldOf } from '../runs/told';
import type { TimeLeftOf } from '../runs/time-left';
import { runParam } from './runs';

/** The page has its style and pictures inside and no script; it is shown with no rights of this origin. */
const pagePolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox";

export function reportRoutes(register: Register, deps: ApiDeps, timeLeft: TimeLeftOf): void {
  register(
    'getReport',
    {
      method: 'get',
      path: '/runs/{runId}/report',
      summary: 'The report of a run',
      description: 'HTML or JSON by `format`, else by Accept. Of a run that is not closed it says so.',
      request: { params: runParam, query: z.object({ format: z.enum(['html', 'json']).optional() }) },
      responses: {
        200: {
          description: 'The report',
          content: { 'text/html': { schema: z.string() }, 'application/json': { schema: z.looseObject({}) } },
        },
      },
    },
    async (c) => {
      const reading = await readRun(deps, c.req.valid('param').runId);
      const { events, declaration, headHash } = reading;
      const made = { generatedAt: deps.clock().toISOString(), versions: { muster: deps.config.version } };
      const [left, told] = await Promise.all([timeLeft(reading), toldOf(deps, reading.runId)]);
      const context = { ...made, headHash, timeLeft: left, told };
      c.header('vary', 'accept');
      const format = c.req.valid('query').format ?? wantedFormat(c);
      if (reading.kind === 'plan') {
        const report = await planReportOf(deps, reading, context, c.get('person').scopes);
        return format === 'json' ? (c.json(report) as never) : page(c, renderPlanReportHtml(report));
      }
      const report = reportModel(events, declaration, { ...context, past: await pastOf(deps, reading.view) });
      return format === 'json' ? (c.json(report) as never) : page(c, await renderPage(deps, report));
    },
  );
}

function page(c: Context<ApiEnv>, html: string): never {
  c.header('content-security-policy', pagePolicy);
  return c.body(html, 200, { 'content-type': 'text/html; charset=utf-8' }) as never;
}

async function renderPage({ evidence }: ApiDeps, report: RunReport): Promise<string> {
  const hashes = [...new Set(report.evidence.map((one) => one.evidence.sha256))];
  const files = new Map(
    await Promise.all(hashes.map(async (sha256) => [sha256, await evidence.read(sha256)] as const)),
  );
  return renderReportHtml(report, { evidence: (sha256) => files.get(sha256) });
}

/** A browser names text/html; a program that names nothing gets JSON. */
function wantedFormat(c: Context<ApiEnv>): 'html' | 'json' {
  const accept = c.req.header('accept') ?? '';
  return accept.includes('text/html') ? 'html' : 'json';
}

/** The report of a run: one self-contained HTML file, or JSON. */
import { z } from '@hono/zod-openapi';
import { reportModel } from '../../model/report';
import type { ApiDeps } from '../deps';
import type { Register } from '../register';
import { readRun } from '../runs/read';
import { runParam } from './runs';

export function reportRoutes(register: Register, deps: ApiDeps): void {
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
      const { events, declaration, headHash } = await readRun(deps, c.req.valid('param').runId);
      const report = reportModel(events, declaration, {
        generatedAt: deps.clock().toISOString(),
        headHash,
        versions: { muster: deps.config.version },
      });
      return c.json(report) as never;
    },
  );
}

/** Open to anybody who can reach the port: states of parts, no names of servers or people. */
import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import type { ApiDeps, ApiEnv } from '../deps';
import { checkHealth, checkReady } from '../health';
import { apiPrefix, json } from '../register';
import type { SiteWatch } from '../site-watch';
import { healthSchema } from '../schemas/health';

export function healthRoutes(app: OpenAPIHono<ApiEnv>, deps: ApiDeps, sites: SiteWatch): void {
  app.openapi(
    createRoute({
      operationId: 'health',
      method: 'get',
      path: `${apiPrefix}/health`,
      summary: 'Every part and whether it answers',
      responses: { 200: json(healthSchema, 'All well'), 503: json(healthSchema, 'Something is missing') },
    }),
    async (c) => {
      const health = await checkHealth(deps);
      return c.json(health, health.ok ? 200 : 503);
    },
  );
  app.openapi(
    createRoute({
      operationId: 'ready',
      method: 'get',
      path: `${apiPrefix}/ready`,
      summary: 'Whether requests can be served',
      responses: { 200: json(healthSchema, 'Ready'), 503: json(healthSchema, 'Not ready') },
    }),
    async (c) => {
      const ready = await checkReady(deps, sites);
      return c.json(ready, ready.ok ? 200 : 503);
    },
  );
}

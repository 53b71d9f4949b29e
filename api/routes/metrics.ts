/** What Prometheus reads. Behind a token like everything else: Prometheus sends one (`authorization: credentials_file`). */
import { z } from '@hono/zod-openapi';
import type { ApiDeps } from '../deps';
import { scrape, type ApiMetrics } from '../metrics';
import type { Register } from '../register';

export function metricsRoutes(register: Register, deps: ApiDeps, metrics: ApiMetrics): void {
  register(
    'readMetrics',
    {
      method: 'get',
      path: '/metrics',
      summary: 'Metrics of the API and of the whole installation, for Prometheus',
      description: 'A worker serves its own at MUSTER_METRICS_WORKER_ADDRESS. docs/operating.md lists them all.',
      responses: { 200: { description: 'Text format 0.0.4', content: { 'text/plain': { schema: z.string() } } } },
    },
    async (c) => c.text(await scrape(metrics, deps), 200, { 'content-type': metrics.registry.contentType }),
  );
}

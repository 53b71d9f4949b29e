/**
 * One line and one count per request: who asked what, how it ended. Never the query's or the body's values: people put
 * secrets where they do not belong. What is logged on the way carries the request's id.
 */
import { createMiddleware } from 'hono/factory';
import { routePath } from 'hono/route';
import { whileDoing } from '../../programs/log';
import type { ApiDeps, ApiEnv } from '../deps';
import { countRequest, type ApiMetrics } from '../metrics';

export function logRequests({ log, clock }: ApiDeps, metrics: ApiMetrics) {
  return createMiddleware<ApiEnv>(async (c, next) => {
    const requestId = c.get('requestId');
    await whileDoing({ requestId }, async () => {
      const startedMs = clock().getTime();
      await next();
      const person = c.get('person') as ApiEnv['Variables']['person'] | undefined;
      const { method, path } = c.req;
      const { status } = c.res;
      const route = routePath(c, -1);
      const durationMs = clock().getTime() - startedMs;
      countRequest(metrics, { method, route, status, durationMs });
      const runId = runOf(path, c.res.headers.get('location'));
      const about = { requestId, method, path, route, status, durationMs, actor: person?.name };
      log.info(runId === undefined ? about : { ...about, runId }, 'request');
    });
  });
}

/** The run that a request was about, or that it started. */
function runOf(path: string, location: string | null): string | undefined {
  return /\/runs\/([0-9a-f-]{36})(\/|$)/.exec(location ?? path)?.[1];
}

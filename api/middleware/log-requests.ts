/** One line per request. Never the query's or the body's values: people put secrets where they do not belong. */
import { createMiddleware } from 'hono/factory';
import type { ApiDeps, ApiEnv } from '../deps';

export function logRequests({ log, clock }: ApiDeps) {
  return createMiddleware<ApiEnv>(async (c, next) => {
    const startedMs = clock().getTime();
    await next();
    const person = c.get('person') as ApiEnv['Variables']['person'] | undefined;
    log.info(
      {
        requestId: c.get('requestId'),
        method: c.req.method,
        path: c.req.path,
        status: c.res.status,
        ms: clock().getTime() - startedMs,
        person: person?.name,
      },
      'request',
    );
  });
}

/** Headers of every answer: nothing here is cached, framed, sniffed or given away as a referrer. */
import { createMiddleware } from 'hono/factory';
import { secureHeaders } from 'hono/secure-headers';
import type { ApiEnv } from '../deps';

export const secure = secureHeaders({
  contentSecurityPolicy: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
  referrerPolicy: 'no-referrer',
  xFrameOptions: 'DENY',
  // Muster serves plain HTTP to 127.0.0.1; whoever puts TLS in front of it sets this.
  strictTransportSecurity: false,
});

/** Answers hold names, states and tokens; a route that may be cached says so itself. */
export const noStore = createMiddleware<ApiEnv>(async (c, next) => {
  await next();
  if (!c.res.headers.has('cache-control')) c.header('cache-control', 'no-store');
});

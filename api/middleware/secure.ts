/** Headers of every answer: nothing here is cached, framed, sniffed or given away as a referrer. */
import { createMiddleware } from 'hono/factory';
import { secureHeaders } from 'hono/secure-headers';
import type { ApiEnv } from '../deps';

export const secure = secureHeaders({
  referrerPolicy: 'no-referrer',
  xFrameOptions: 'DENY',
  // Muster serves plain HTTP to 127.0.0.1; whoever puts TLS in front of it sets this.
  strictTransportSecurity: false,
});

/** Where a route says nothing else: answers hold names, states and tokens, so nobody keeps them; and they are no pages. */
export const defaultHeaders = createMiddleware<ApiEnv>(async (c, next) => {
  await next();
  const { headers } = c.res;
  if (!headers.has('cache-control')) c.header('cache-control', 'no-store');
  if (!headers.has('content-security-policy')) {
    c.header('content-security-policy', "default-src 'none'; frame-ancestors 'none'; sandbox");
  }
});

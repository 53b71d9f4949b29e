/** Every request has an id: the caller's where it is well-formed, else ours. It is in the answer, the log and the record. */
import { createMiddleware } from 'hono/factory';
import { v7 as uuidv7 } from 'uuid';
import type { ApiEnv } from '../deps';

const wellFormed = /^[A-Za-z0-9._-]{8,100}$/;

export const requestId = createMiddleware<ApiEnv>(async (c, next) => {
  const given = c.req.header('x-request-id');
  const id = given !== undefined && wellFormed.test(given) ? given : uuidv7();
  c.set('requestId', id);
  await next();
  c.header('x-request-id', id);
});

/** The door: who is it, and may they. What is refused here is recorded in the installation's own chain, best-effort. */
import { getConnInfo } from '@hono/node-server/conninfo';
import { createMiddleware } from 'hono/factory';
import type { Context } from 'hono';
import type { Operation } from '../authorisation';
import type { ApiEnv } from '../deps';
import { Problem } from '../problems';
import { whyNot } from '../reach';
import type { Refusals } from '../refusals';
import { bearerToken, type Verifier } from './authenticate';

/** Middleware of one operation: the caller is known and allowed, or the request ends here. */
export function admit(operation: Operation, verifier: Verifier, refusals: Refusals) {
  return createMiddleware<ApiEnv>(async (c, next) => {
    const requestId = c.get('requestId');
    const address = addressOf(c);
    const nobody = { kind: 'person', id: 'unknown', name: 'unknown' } as const;
    const token = bearerToken(c.req.header('authorization'));
    const person = token === undefined ? undefined : await verifier.verify(token);
    if (!person) {
      const found = token === undefined ? 'no token came with the request' : 'the token is unknown, expired or revoked';
      refusals.note(operation, found, { actor: nobody, authMethod: 'none', requestId, address });
      throw new Problem('unauthenticated', `A valid token is needed: ${found}. Send "Authorization: Bearer TOKEN"`);
    }
    const actor = { kind: 'person', ...person } as const;
    const by = { actor, authMethod: 'bearer-token', requestId, address };
    const because = whyNot(person, operation, null);
    if (because !== null) {
      refusals.note(operation, because, by);
      throw new Problem('forbidden', `"${operation}" is not allowed for ${person.name}: found ${because}`);
    }
    c.set('person', person);
    c.set('by', by);
    await next();
  });
}

/** The peer's address as the socket knows it; `in-process` where there is no socket (tests). */
function addressOf(c: Context<ApiEnv>): string {
  const bindings = c.env as { incoming?: unknown } | undefined;
  if (bindings?.incoming === undefined) return 'in-process';
  return getConnInfo(c).remote.address ?? 'unknown';
}

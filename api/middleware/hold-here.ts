/** The second half of the door, once the request is known to be well-formed: whether the role holds at what it names. */
import { createMiddleware } from 'hono/factory';
import type { Context } from 'hono';
import type { Operation } from '../authorisation';
import { nowhere } from '../../model/access';
import type { ApiEnv } from '../deps';
import type { FindPlaces } from '../places';
import { Problem } from '../problems';
import { reaches, whyNot } from '../reach';
import type { Refusals } from '../refusals';

/** Nobody whose role holds everywhere waits for a look-up. */
export function holdHere(operation: Operation, find: FindPlaces, refusals: Refusals) {
  const reach = reaches[operation];
  return createMiddleware<ApiEnv>(async (c, next) => {
    const person = c.get('person');
    if (person.scopes !== undefined && person.scopes.length > 0) {
      const name = typeof reach === 'string' ? undefined : await named(c, reach);
      const places = typeof reach === 'string' ? null : name === undefined ? nowhere : await find(reach, name);
      const because = whyNot(person, operation, places);
      if (because !== null) {
        refusals.note(operation, because, c.get('by'));
        throw new Problem('forbidden', `"${operation}" is not allowed for ${person.name}: found ${because}`);
      }
    }
    await next();
  });
}

/** undefined: the request is about no place of that kind. */
async function named(
  c: Context<ApiEnv>,
  { in: part, at }: { in: 'path' | 'body'; at: string },
): Promise<string | undefined> {
  if (part === 'path') return c.req.param(at) ?? '';
  const body = (await c.req.json()) as Readonly<Record<string, unknown>>;
  return body[at] === undefined ? undefined : String(body[at]);
}

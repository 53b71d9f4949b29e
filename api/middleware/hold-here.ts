/** The second half of the door, once the request is known to be well-formed: whether the role holds at what it names. */
import { createMiddleware } from 'hono/factory';
import type { Context } from 'hono';
import type { Operation } from '../authorisation';
import type { NamedPlaces, Places } from '../../model/access';
import type { ApiEnv } from '../deps';
import type { FindPlaces } from '../places';
import { Problem } from '../problems';
import { ofRunbook, reaches, whyNot, type Reach } from '../reach';
import type { Refusals } from '../refusals';

/** Nobody whose role holds everywhere waits for a look-up. */
export function holdHere(operation: Operation, find: FindPlaces, refusals: Refusals) {
  return createMiddleware<ApiEnv>(async (c, next) => {
    const person = c.get('person');
    if (person.scopes !== undefined && person.scopes.length > 0) {
      const because = await whyNotHere(c, operation, find);
      if (because !== null) {
        refusals.note(operation, because, c.get('by'));
        throw new Problem('forbidden', `"${operation}" is not allowed for ${person.name}: found ${because}`);
      }
    }
    await next();
  });
}

async function whyNotHere(c: Context<ApiEnv>, operation: Operation, find: FindPlaces): Promise<string | null> {
  const person = c.get('person');
  const reach = reaches[operation];
  const why = (places: Places | readonly NamedPlaces[] | null) => whyNot(person, operation, places);
  if (typeof reach === 'string') return why(null);
  const body = await bodyOf(c);
  const name = nameIn(c, reach, body);
  if (name === undefined) return why({ sites: [], runbooks: [] });
  if (name.of !== 'runbook') return why(await find(name.of, name.named));
  // Who holds the runbook itself waits for no look-up.
  if (why(ofRunbook(name.named)) === null) return null;
  const version = reach.version === 'query' ? c.req.query('version') : reach.version && body['version'];
  return why(await find('runbook', name.named, version === undefined ? undefined : Number(version)));
}

interface Named {
  readonly of: Exclude<Reach, string>['of'];
  readonly named: string;
}

/** A preview has a text or a name; what has neither is refused as a request (schemas). */
function nameIn(
  c: Context<ApiEnv>,
  { of, in: part, at }: Exclude<Reach, string>,
  body: Readonly<Record<string, unknown>>,
): Named | undefined {
  if (part === 'path') return { of, named: c.req.param(at) ?? '' };
  if (body[at] !== undefined) return { of, named: String(body[at]) };
  return of === 'text' && body['name'] !== undefined ? { of: 'runbook', named: String(body['name']) } : undefined;
}

/** Validated before; routes without one have none. */
async function bodyOf(c: Context<ApiEnv>): Promise<Readonly<Record<string, unknown>>> {
  if (c.req.header('content-type') === undefined) return {};
  const body: unknown = await c.req.json().catch(() => ({}));
  return typeof body === 'object' && body !== null ? (body as Readonly<Record<string, unknown>>) : {};
}

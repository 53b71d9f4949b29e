/**
 * How a route comes to be: declared with its schemas (they make the OpenAPI document), guarded by the authorisation
 * table, checked as a whole, then answered. A handler only sees valid input of a known, allowed person.
 */
import type { OpenAPIHono, RouteConfig, RouteHandler } from '@hono/zod-openapi';
import type { Operation } from './authorisation';
import type { ApiEnv } from './deps';
import { admit } from './middleware/admit';
import type { Verifier } from './middleware/authenticate';
import { holdHere } from './middleware/hold-here';
import { validateAll } from './middleware/validate';
import type { FindPlaces } from './places';
import { problemMediaType } from './problems';
import type { Refusals } from './refusals';
import { problemSchema } from './schemas/common';

export const apiPrefix = '/api/v1';

export type Register = <R extends RouteConfig>(
  operation: Operation,
  route: R,
  handler: RouteHandler<R, ApiEnv>,
) => void;

const problems = {
  default: { description: 'A problem (RFC 9457)', content: { [problemMediaType]: { schema: problemSchema } } },
};

export interface Door {
  readonly verifier: Verifier;
  readonly refusals: Refusals;
  readonly places: FindPlaces;
}

export function registerOn(app: OpenAPIHono<ApiEnv>, { verifier, refusals, places }: Door): Register {
  return (operation, route, handler) => {
    const full = {
      ...route,
      operationId: operation,
      path: apiPrefix + route.path,
      security: [{ bearer: [] }],
      responses: { ...route.responses, ...problems },
      middleware: [
        admit(operation, verifier, refusals),
        validateAll(route.request),
        holdHere(operation, places, refusals),
      ],
    };
    // The handler's type follows from `route`; what is added above changes neither its input nor its answers.
    app.openapi(full, handler as never);
  };
}

/** A JSON answer's declaration. */
export function json<S>(schema: S, description: string) {
  return { description, content: { 'application/json': { schema } } };
}

/** A required JSON body's declaration. */
export function body<S>(schema: S) {
  return { required: true, content: { 'application/json': { schema } } } as const;
}

/** The model's values are deeply readonly; a schema's type is not. Same shape, checked by the compiler. */
export type Frozen<T> = T extends (infer E)[]
  ? readonly Frozen<E>[]
  : T extends object
    ? { readonly [K in keyof T]: Frozen<T[K]> }
    : T;
export const plain = <T>(value: Frozen<T>): T => value as T;

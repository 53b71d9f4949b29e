/** Reads and checks everything that a route declares, and reports all problems of a request at once. */
import { createMiddleware } from 'hono/factory';
import type { Context } from 'hono';
import type { RouteConfig } from '@hono/zod-openapi';
import type { ZodError, ZodType } from 'zod';
import type { ApiEnv } from '../deps';
import { Problem, type ProblemIssue } from '../problems';

/** Runs before the route's own validators, which stop at the first part that is wrong. */
export function validateAll(request: RouteConfig['request']) {
  return createMiddleware<ApiEnv>(async (c, next) => {
    const issues: ProblemIssue[] = [];
    const check = (part: string, schema: unknown, value: unknown): void => {
      if (!isSchema(schema)) return;
      const result = schema.safeParse(value);
      if (!result.success) issues.push(...issuesOf(part, result.error));
    };
    check('path', request?.params, c.req.param());
    check('query', request?.query, c.req.query());
    check('header', request?.headers, c.req.header());
    const content = request?.body?.content['application/json'];
    if (content && 'schema' in content) check('body', content.schema, await jsonBody(c));
    if (issues.length > 0) {
      const listed = issues.map(({ at, message }) => `${at} ${message}`).join('; ');
      throw new Problem('validation', `${listed}`, { issues });
    }
    await next();
  });
}

export function issuesOf(part: string, error: ZodError): ProblemIssue[] {
  return error.issues.map(({ path, message }) => ({ at: [part, ...path.map(String)].join('.'), message }));
}

async function jsonBody(c: Context<ApiEnv>): Promise<unknown> {
  const mediaType = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase();
  if (mediaType !== 'application/json') {
    throw new Problem(
      'media-type',
      `The body has to be JSON: found ${mediaType ?? 'no content-type'}, needed application/json`,
    );
  }
  try {
    // Strict, because a decoder that replaces what it cannot read would put another word into the record.
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(await c.req.arrayBuffer()));
  } catch (error) {
    if (error instanceof Problem) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw new Problem('bad-request', `The body cannot be read as JSON: ${message}`, {}, { cause: error });
  }
}

function isSchema(value: unknown): value is ZodType {
  return typeof value === 'object' && value !== null && 'safeParse' in value;
}

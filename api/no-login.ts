/**
 * The answer to a browser that comes without a token, mostly by a link of a mail: 401 as a page for people. It is made of the
 * address alone, so it is the same whether there is such a run or not.
 */
import type { Context } from 'hono';
import { isUuid } from '../model/ids';
import { renderNoLogin } from '../templates/render-no-login';
import type { ApiEnv } from './deps';
import { problemResponse, type Problem } from './problems';
import { apiPrefix } from './register';

const policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox";

/** Whether a person looks: a page was asked for, and nobody said who asks. */
export function isBrowserWithoutToken(c: Context<ApiEnv>, problem: Problem): boolean {
  const accept = c.req.header('accept') ?? '';
  return (
    problem.kind === 'unauthenticated' &&
    c.req.method === 'GET' &&
    c.req.header('authorization') === undefined &&
    accept.includes('text/html')
  );
}

/** With the problem's own status and headers. */
export function noLoginPage(c: Context<ApiEnv>, problem: Problem): Response {
  const answer = problemResponse(problem, c.get('requestId'));
  const headers = new Headers(answer.headers);
  headers.set('content-type', 'text/html; charset=utf-8');
  headers.set('content-security-policy', policy);
  headers.set('vary', 'accept');
  return new Response(renderNoLogin(runOf(c.req.path)), { status: answer.status, headers });
}

function runOf(path: string): string | null {
  const [, named] = new RegExp(`^${apiPrefix}/runs/([^/]+)`).exec(path) ?? [];
  return named !== undefined && isUuid(named) ? named : null;
}

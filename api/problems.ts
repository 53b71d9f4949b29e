/**
 * Every error of the API, in one form: application/problem+json (RFC 9457). The closed list below is what `type` can be;
 * docs/api.md prints it.
 */
import type { Refusal } from '../workflows/messages';

export const problemKinds = {
  'bad-request': [400, 'The request cannot be read'],
  validation: [400, 'The request is not valid'],
  unauthenticated: [401, 'A valid token is needed'],
  forbidden: [403, 'Your role does not allow this'],
  'not-found': [404, 'Not found'],
  'method-not-allowed': [405, 'This address does not take this method'],
  conflict: [409, 'The present state does not allow this'],
  'recovery-running': [409, 'Another recovery of this server is running'],
  refused: [409, 'The run refused this'],
  'too-large': [413, 'The request body is too large'],
  'media-type': [415, 'The request body has to be JSON'],
  'key-reused': [422, 'This idempotency key was used for something else'],
  'runbook-errors': [422, 'The runbook has errors'],
  unexpected: [500, 'Muster failed on this request'],
  'part-unavailable': [503, 'A part that is needed does not answer'],
  'no-worker': [503, 'No worker took this in time'],
} as const satisfies Record<string, readonly [number, string]>;
export type ProblemKind = keyof typeof problemKinds;

/** One thing wrong with a request: where (`body.server`, `query.limit`) and what. */
export interface ProblemIssue {
  readonly at: string;
  readonly message: string;
}

export interface ProblemExtras {
  readonly issues?: readonly ProblemIssue[];
  /** Why a run said no; `AlreadyDecided` and its like. */
  readonly refusal?: Refusal | 'Undone' | (string & {});
  /** The run in the way. */
  readonly runId?: string;
  /** What was perhaps meant. The sentence that says so is made with the document. */
  readonly near?: readonly string[];
  /** Of what there is none by that name, in words: `server`. */
  readonly missing?: string;
  readonly allow?: readonly string[];
}

/** Thrown anywhere below a route; app.onError turns it into the answer. `message` says what, found, needed, what to do. */
export class Problem extends Error {
  override readonly name = 'Problem';
  constructor(
    readonly kind: ProblemKind,
    message: string,
    readonly extras: ProblemExtras = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  get status(): number {
    return problemKinds[this.kind][0];
  }
}

export const problemMediaType = 'application/problem+json';

/** The document that a client gets; `instance` is the request id, by which the log line is found. */
export function problemDocument(problem: Problem, requestId: string) {
  const { issues, refusal, runId, near = [], missing } = problem.extras;
  return {
    type: `urn:muster:problem:${problem.kind}`,
    title: problemKinds[problem.kind][1],
    status: problem.status,
    detail: near.length === 0 ? problem.message : `${problem.message}. Perhaps you meant ${near.join(' or ')}`,
    instance: `urn:muster:request:${requestId}`,
    requestId,
    ...(issues === undefined ? {} : { issues }),
    ...(refusal === undefined ? {} : { refusal }),
    ...(runId === undefined ? {} : { runId }),
    ...(near.length === 0 ? {} : { near }),
    ...(missing === undefined ? {} : { missing }),
  };
}

export function problemResponse(problem: Problem, requestId: string): Response {
  const headers: Record<string, string> = { 'content-type': problemMediaType };
  if (problem.kind === 'unauthenticated') headers['www-authenticate'] = 'Bearer realm="muster"';
  if (problem.extras.allow) headers.allow = problem.extras.allow.join(', ');
  if (problem.status === 503) headers['retry-after'] = '5';
  return new Response(JSON.stringify(problemDocument(problem, requestId)), { status: problem.status, headers });
}

/** Nothing of this kind under this name; suggests what was perhaps meant. */
export function notFound(what: string, name: string, near: readonly string[] = []): Problem {
  return new Problem('not-found', `There is no ${what} "${name}"`, { near, missing: what });
}

/** The same for who does not see everything: what lies near may be elsewhere, and a list shows them what is theirs. */
export function withoutNear(problem: Problem): Problem {
  // The others name steps, waves and servers of a run that they see.
  if (problem.kind !== 'not-found') return problem;
  const { near: _, ...extras } = problem.extras;
  return new Problem(problem.kind, problem.message, extras, { cause: problem.cause });
}

/** The API over HTTP: every call with a request id and a deadline, every problem as a CliError with an exit code. */
import { v7 as uuidv7 } from 'uuid';
import type { ProblemDocument } from '../api/schemas/common';
import type { Connection } from './connection';
import { CliError, type CliProblem } from './exit-codes';

export interface Answer<T> {
  readonly status: number;
  readonly body: T;
}

export interface Client {
  readonly url: string;
  call<T>(method: string, path: string, options?: CallOptions): Promise<Answer<T>>;
  get<T>(path: string): Promise<T>;
  /** The response itself, for streams and files; a problem is thrown all the same. */
  open(path: string, options?: CallOptions): Promise<Response>;
}

export interface CallOptions {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** Longer than any deadline inside the API: it answers 202 or 503 before. */
const answerDeadlineMs = 60_000;

export function createClient({ url, token }: Connection): Client {
  async function request(method: string, path: string, options: CallOptions = {}): Promise<Response> {
    const init: RequestInit = {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        'x-request-id': uuidv7(),
        ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      signal: options.signal ?? AbortSignal.timeout(answerDeadlineMs),
    };
    const response = await fetch(`${url}/api/v1${path}`, init).catch((error: unknown) => {
      throw unreachable(url, error);
    });
    if (response.ok) return response;
    throw problemOf(response.status, await response.text(), url);
  }

  async function call<T>(method: string, path: string, options?: CallOptions): Promise<Answer<T>> {
    const response = await request(method, path, options);
    const text = await response.text();
    try {
      return { status: response.status, body: (text === '' ? undefined : JSON.parse(text)) as T };
    } catch (error) {
      throw new CliError('unreachable', `${url} does not answer as Muster does: found ${text.slice(0, 80)}`, {
        cause: error,
      });
    }
  }

  return {
    url,
    call,
    get: async <T>(path: string) => (await call<T>('GET', path)).body,
    open: (path, options) => request('GET', path, options),
  };
}

function unreachable(url: string, error: unknown): CliError {
  const { cause = error } = error as { cause?: unknown };
  const { code, message } = cause as { code?: unknown; message?: string };
  const found = code === undefined ? (message ?? String(cause)) : codeWords(String(code));
  return new CliError(
    'unreachable',
    `The API at ${url} cannot be reached: ${found}. Start it (\`muster up\`), or say where it is (--url or MUSTER_URL)`,
    { cause: error },
  );
}

/** undici's codes, and the parser's of HTTP (HPE_…), say nothing to who is woken; the code stays for who looks it up. */
function codeWords(code: string): string {
  if (code === 'ECONNREFUSED') return `nothing listens there (${code})`;
  if (code.startsWith('HPE_') || ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(code))
    return `another program answers there, or it was ended meanwhile (${code})`;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `no host of that name is known (${code})`;
  return code;
}

/** What the API says is wrong, as one message; `urn:muster:problem:` kinds decide the exit code. */
export function problemOf(status: number, text: string, url: string): CliError {
  const problem = parseProblem(text);
  if (!problem) {
    return new CliError('unreachable', `${url} answered ${status} and not as Muster does: is another program there?`);
  }
  return new CliError(exitProblem(problem.type, status), onCommandLine(problem), { answered: true });
}

/** The API speaks to programs; at a command line the same is mended by other commands. */
function onCommandLine({ type, detail, missing = '', near = [] }: ProblemDocument): string {
  if (type === 'urn:muster:problem:unauthenticated') {
    const said = detail.replace(/\. Send "Authorization: Bearer TOKEN"$/, '');
    return `${said}. Put yours into the file that MUSTER_TOKEN_FILE names; an admin makes one with \`muster token issue\``;
  }
  const lists = near.length === 0 ? listsOf[missing] : undefined;
  return lists === undefined ? detail : `${detail}. ${lists}`;
}

const listsOf: Readonly<Record<string, string>> = {
  server: '`muster servers` lists them',
  run: '`muster runs` lists them',
  runbook: '`muster runbook list` lists them',
  'runbook or server': '`muster runbook list` and `muster servers` list them',
  token: '`muster token list` lists them',
  'schedule of runbook': '`muster schedule list` lists them',
};

function exitProblem(type: string, status: number): CliProblem {
  switch (type.replace('urn:muster:problem:', '')) {
    case 'unauthenticated':
    case 'forbidden':
      return 'not-allowed';
    case 'not-found':
      return 'not-found';
    case 'part-unavailable':
    case 'no-worker':
      return 'unreachable';
    default:
      return status >= 500 ? 'muster-failed' : status === 409 || status === 422 ? 'refused' : 'usage';
  }
}

function parseProblem(text: string): ProblemDocument | undefined {
  try {
    const parsed = JSON.parse(text) as Partial<ProblemDocument>;
    return typeof parsed.type === 'string' && typeof parsed.detail === 'string'
      ? (parsed as ProblemDocument)
      : undefined;
  } catch {
    return undefined;
  }
}

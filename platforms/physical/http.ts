/** One HTTP request to a management controller: own certificate authority, a deadline, a limit on what is read. */
import { readFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { OperatorError } from '../../model/errors';
import { within } from '../../programs/within';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

export interface Ask {
  readonly url: string;
  readonly method: 'GET' | 'POST' | 'PATCH';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly caFile: string | null;
  readonly insecure: boolean;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** A request that had no answer; `code` is errno's or OpenSSL's name. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
  constructor(
    message: string,
    readonly code: string,
  ) {
    super(message);
  }
}

const longestAnswerBytes = 1024 * 1024;

/** @throws NoAnswer when there is none; the signal's reason when it is aborted. Redirects are not followed. */
export async function ask(wanted: Ask): Promise<Answer> {
  wanted.signal?.throwIfAborted();
  const ca = wanted.caFile === null ? undefined : await readAuthority(wanted.caFile);
  const body = wanted.body === undefined ? undefined : JSON.stringify(wanted.body);
  const options: RequestOptions = {
    method: wanted.method,
    headers: {
      accept: 'application/json',
      'odata-version': '4.0',
      ...wanted.headers,
      ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
    },
    // No connection outlives its request: controllers have few, and nothing is left open.
    agent: false,
    rejectUnauthorized: !wanted.insecure,
    ...(ca === undefined ? {} : { ca }),
  };
  return within({ signals: [wanted.signal], ms: wanted.timeoutMs }, async (signal) => {
    try {
      return await exchange(wanted.url, { ...options, signal }, body);
    } catch (error) {
      wanted.signal?.throwIfAborted();
      if (signal.aborted) throw new NoAnswer(`no answer within ${wanted.timeoutMs} ms`, 'ETIMEDOUT');
      const { code, message } = error as NodeJS.ErrnoException;
      throw new NoAnswer(message, code ?? 'UNKNOWN');
    }
  });
}

async function readAuthority(caFile: string): Promise<Buffer> {
  return readFile(caFile).catch((error: NodeJS.ErrnoException) => {
    throw new OperatorError({
      what: 'the certificate authority of a management controller cannot be read',
      found: `${caFile}: ${error.code ?? error.message}`,
      needed: 'a PEM file that the worker can read',
      remedy: 'Correct caFile in the configuration, or put the file there; then retry.',
    });
  });
}

function exchange(url: string, options: RequestOptions, body: string | undefined): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const send = url.startsWith('https:') ? httpsRequest : httpRequest;
    const request = send(url, options, (response) => {
      const pieces: Buffer[] = [];
      let bytes = 0;
      response.on('data', (piece: Buffer) => {
        bytes += piece.length;
        if (bytes > longestAnswerBytes) response.destroy(new Error(`more than ${longestAnswerBytes} bytes`));
        else pieces.push(piece);
      });
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(pieces).toString('utf8');
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

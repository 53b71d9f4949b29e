/** HTTP calls to a stack that is being killed: sent again, under the same key, until somebody answers. */
import { setTimeout as sleep } from 'node:timers/promises';
import { within } from '../../programs/within';
import type { KillableStack } from './killable-stack';

export interface Reply {
  readonly status: number;
  readonly body: any; // eslint-disable-line @typescript-eslint/no-explicit-any
}

export interface ApiClient {
  /** The first answer that is not "not now" (no connection, 429, 5xx). @throws the deadline's reason. */
  call(method: string, path: string, options?: { body?: unknown; key?: string; html?: boolean }): Promise<Reply>;
  /** One try; undefined: not now. */
  tryOnce(
    method: string,
    path: string,
    options?: { body?: unknown; key?: string; html?: boolean },
  ): Promise<Reply | undefined>;
}

const againAfterMs = 200;
const longestCallMs = 15_000;

export function apiClient(stack: Pick<KillableStack, 'apiUrl' | 'token'>, deadline: AbortSignal): ApiClient {
  const tryOnce: ApiClient['tryOnce'] = async (method, path, { body, key, html } = {}) => {
    deadline.throwIfAborted();
    const request: RequestInit = {
      method,
      headers: {
        authorization: `Bearer ${stack.token}`,
        accept: html === true ? 'text/html' : 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(key === undefined ? {} : { 'idempotency-key': key }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    };
    const ask = async (signal: AbortSignal) => {
      const response = await fetch(`${stack.apiUrl}/api/v1${path}`, { ...request, signal });
      return { status: response.status, text: await response.text() };
    };
    try {
      const { status, text } = await within({ signals: [deadline], ms: longestCallMs }, ask);
      if (status === 500) throw new ServerFault(`${method} ${path}: 500 ${text}`);
      if (status > 500 || status === 429) return undefined;
      return { status, body: html === true ? text : text === '' ? null : JSON.parse(text) };
    } catch (error) {
      if (error instanceof ServerFault) throw error;
      deadline.throwIfAborted();
      return undefined;
    }
  };
  return {
    tryOnce,
    async call(method, path, options) {
      for (;;) {
        const reply = await tryOnce(method, path, options);
        if (reply !== undefined) return reply;
        await sleep(againAfterMs);
      }
    },
  };
}

/** 500 is a fault of Muster's own, whatever was killed: parts that are away are 503. */
export class ServerFault extends Error {
  override readonly name = 'ServerFault';
}

/** Looks until it is so. @throws the deadline's reason, with what was looked for. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined>,
  deadline: AbortSignal,
  everyMs = 200,
): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (deadline.aborted) throw new Error(`This did not become so in time: ${what}`);
    await sleep(everyMs);
  }
}

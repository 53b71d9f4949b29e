/** A run as it happens, as server-sent events. */
import { z } from '@hono/zod-openapi';
import { streamSSE, type SSEStreamingApi } from 'hono/streaming';
import type { RunEvent } from '../../model/events';
import type { ApiDeps } from '../deps';
import type { Register } from '../register';
import { readRun } from '../runs/read';
import { streamRun, type StreamMessage } from '../runs/stream';
import type { SiteWatch } from '../site-watch';
import { runParam } from './runs';

/** Proxies close connections that are silent for a minute. */
const keepAliveMs = 15_000;

/** One event of the stream; its data are JSON. */
const streamedSchema = z.object({
  id: z.string().optional(),
  event: z.enum(['event', 'progress', 'notice', 'end']),
  data: z.string(),
});

export function runEventRoutes(register: Register, deps: ApiDeps, sites: SiteWatch): void {
  register(
    'streamRunEvents',
    {
      method: 'get',
      path: '/runs/{runId}/events',
      summary: 'A run as it happens (server-sent events)',
      description:
        '`event: event` carries a RunEvent under its sequence number as id; `progress` what long activities are busy with; `notice` that no worker takes the next step, null when one does; `end` closes the stream. Send Last-Event-ID to go on after an event.',
      request: {
        params: runParam,
        query: z.object({ after: z.coerce.number().int().nonnegative().default(0).openapi({ type: 'integer' }) }),
        headers: z.object({
          'last-event-id': z.coerce.number().int().nonnegative().optional().openapi({ type: 'integer' }),
        }),
      },
      responses: { 200: { description: 'The stream', content: { 'text/event-stream': { schema: streamedSchema } } } },
    },
    async (c) => {
      const { runId } = c.req.valid('param');
      const reading = await readRun(deps, runId);
      const after = c.req.valid('header')['last-event-id'] ?? c.req.valid('query').after;
      c.header('x-accel-buffering', 'no');
      return streamSSE(c, (stream) =>
        sendAll(stream, (ended) => streamRun(deps, { reading, sites, after }, ended)),
      ) as never;
    },
  );
}

/** Until the run's end, or the reader's: a reader who goes away ends what `messages` waits for. */
async function sendAll(
  stream: SSEStreamingApi,
  messages: (ended: AbortSignal) => AsyncIterable<StreamMessage>,
): Promise<void> {
  const ended = new AbortController();
  stream.onAbort(() => ended.abort());
  const alive = setInterval(() => void stream.write(': still here\n\n').catch(() => undefined), keepAliveMs);
  try {
    for await (const message of messages(ended.signal)) await send(stream, message);
  } finally {
    clearInterval(alive);
  }
}

async function send(stream: SSEStreamingApi, message: StreamMessage): Promise<void> {
  switch (message.type) {
    case 'event':
      return stream.writeSSE({
        id: String(message.sequence),
        event: 'event',
        data: JSON.stringify(eventDocument(message.sequence, message.event)),
      });
    case 'progress':
      return stream.writeSSE({ event: 'progress', data: JSON.stringify({ activities: message.activities }) });
    case 'notice':
      return stream.writeSSE({ event: 'notice', data: JSON.stringify({ notice: message.notice }) });
    case 'end':
      return stream.writeSSE({ event: 'end', data: JSON.stringify({ complete: message.complete }) });
  }
}

function eventDocument(sequence: number, event: RunEvent) {
  return { sequence, ...event };
}

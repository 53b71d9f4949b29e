/** Runs: listed, read, watched. */
import { z } from '@hono/zod-openapi';
import { streamSSE, type SSEStreamingApi } from 'hono/streaming';
import type { RunEvent } from '../../model/events';
import type { RunState } from '../../model/steps';
import type { RunRow } from '../../store/contract';
import type { ApiDeps } from '../deps';
import type { KnownServers } from '../known-servers';
import { json, plain, type Register } from '../register';
import type { Acts } from '../runs/acts';
import { readRun } from '../runs/read';
import { streamRun, type StreamMessage } from '../runs/stream';
import type { TimeLeftOf } from '../runs/time-left';
import { workerNotice, workerNotices } from '../runs/workers';
import { runDetailSchema, runsQuery, runsSchema, type RunsDocument } from '../schemas/runs';
import { within } from '../within';

export const runParam = z.object({ runId: z.uuid().openapi({ param: { name: 'runId', in: 'path' } }) });

/** Proxies close connections that are silent for a minute. */
const keepAliveMs = 15_000;

/** One event of the stream; its data are JSON. */
const streamedSchema = z.object({
  id: z.string().optional(),
  event: z.enum(['event', 'progress', 'notice', 'end']),
  data: z.string(),
});

export function runRoutes(
  register: Register,
  deps: ApiDeps,
  servers: KnownServers,
  acts: Acts,
  timeLeft: TimeLeftOf,
): void {
  const { store, temporal, config } = deps;

  register(
    'listRuns',
    {
      method: 'get',
      path: '/runs',
      summary: 'Runs, newest first',
      request: { query: runsQuery },
      responses: { 200: json(runsSchema, 'A page of runs') },
    },
    async (c) => {
      const { server, parent, top, ...filter } = c.req.valid('query');
      const serverId = server === undefined ? undefined : (await servers.find(server)).id;
      const page = await within(
        config.storeDeadlineMs,
        store.runs.list({
          ...filter,
          scopes: c.get('person').scopes,
          serverId,
          parentRunId: parent,
          topLevel: top === 'true',
        }),
      );
      const [notices, counts] = await Promise.all([workerNotices(deps, page.items), countsOf(deps, page.items)]);
      const items = page.items.map((row) => ({
        ...row,
        notice: notices.get(row.runId) ?? null,
        children: counts.get(row.runId) ?? null,
      }));
      return c.json(plain<RunsDocument>({ ...page, items }), 200);
    },
  );

  register(
    'getRun',
    {
      method: 'get',
      path: '/runs/{runId}',
      summary: 'One run, now',
      description:
        'The running workflow answers for itself; a closed run, or one without a worker, is read from the journal.',
      request: { params: runParam },
      responses: { 200: json(runDetailSchema, 'The run') },
    },
    async (c) => {
      const { runId } = c.req.valid('param');
      const reading = await readRun(deps, runId);
      const { source, notice, execution, view } = reading;
      const busy = execution && (await temporal.progress(execution).catch(() => undefined));
      const waits = busy && notice === null ? await workerNotice(deps, busy) : null;
      const detail = {
        runId,
        kind: reading.kind,
        serverName: reading.kind === 'plan' ? reading.view.order.runbook.name : reading.view.order.server.name,
        source,
        notice: notice ?? waits,
        view,
        timeLeft: await timeLeft(reading),
        progress: busy?.activities ?? [],
        acts: execution ? await acts.list(execution) : [],
      };
      return c.json(detail as unknown as z.infer<typeof runDetailSchema>, 200);
    },
  );

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
      const { execution } = await readRun(deps, runId);
      const after = c.req.valid('header')['last-event-id'] ?? c.req.valid('query').after;
      c.header('x-accel-buffering', 'no');
      return streamSSE(c, (stream) =>
        sendAll(stream, (ended) => streamRun(deps, runId, execution, after, ended)),
      ) as never;
    },
  );
}

/** Of the plans of a page: their children by state. */
async function countsOf(
  { store, config }: ApiDeps,
  rows: readonly RunRow[],
): Promise<ReadonlyMap<string, Partial<Record<RunState, number>>>> {
  const plans = rows.filter(({ procedure }) => procedure === 'plan').map(({ runId }) => runId);
  const counts = plans.length === 0 ? [] : await within(config.storeDeadlineMs, store.runs.counts(plans));
  const byPlan = new Map(plans.map((runId) => [runId, {} as Partial<Record<RunState, number>>]));
  for (const { parentRunId, state, count } of counts) byPlan.get(parentRunId)![state] = count;
  return byPlan;
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

/** Runs: listed and read. */
import { z } from '@hono/zod-openapi';
import type { RunState } from '../../model/steps';
import type { RunRow } from '../../store/contract';
import type { ApiDeps } from '../deps';
import type { KnownServers } from '../known-servers';
import { json, plain, type Register } from '../register';
import type { Acts } from '../runs/acts';
import { readRun } from '../runs/read';
import type { TimeLeftOf } from '../runs/time-left';
import { sitesBelow, standstillOf, workerNotices } from '../runs/workers';
import type { SiteWatch } from '../site-watch';
import { runDetailSchema, runsQuery, runsSchema, type RunsDocument } from '../schemas/runs';
import { within } from '../within';

export const runParam = z.object({ runId: z.uuid().openapi({ param: { name: 'runId', in: 'path' } }) });

interface Known {
  readonly servers: KnownServers;
  readonly acts: Acts;
  readonly timeLeft: TimeLeftOf;
  readonly sites: SiteWatch;
}

export function runRoutes(register: Register, deps: ApiDeps, { servers, acts, timeLeft, sites }: Known): void {
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
      const [notices, counts] = await Promise.all([workerNotices(deps, sites, page.items), countsOf(deps, page.items)]);
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
      const asked = busy && (notice === null || busy.failing !== null);
      const waits = asked ? await standstillOf(deps, sites, sitesBelow(reading), busy) : null;
      const detail = {
        runId,
        kind: reading.kind,
        serverName: reading.kind === 'plan' ? reading.view.order.runbook.name : reading.view.order.server.name,
        source,
        notice: waits ?? notice,
        view,
        timeLeft: await timeLeft(reading),
        progress: busy?.activities ?? [],
        acts: execution ? await acts.list(execution) : [],
      };
      return c.json(detail as unknown as z.infer<typeof runDetailSchema>, 200);
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

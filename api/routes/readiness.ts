/** Readiness: risks without a run, which runbooks are verified, and asking for it all at once. */
import type { ApiDeps } from '../deps';
import type { KnownServers } from '../known-servers';
import { readReadiness } from '../readiness/read';
import { readinessRound } from '../readiness/round';
import { json, type Register } from '../register';
import { readinessQuery, readinessSchema, roundSchema, runbookReadinessParam } from '../schemas/readiness';

export function readinessRoutes(register: Register, deps: ApiDeps, servers: KnownServers): void {
  register(
    'getReadiness',
    {
      method: 'get',
      path: '/readiness',
      summary: 'Risks of servers, runbooks and sites, and which runbooks are verified',
      description: 'Risks are as the last round found them; `POST /readiness/rounds` asks again now.',
      request: { query: readinessQuery },
      responses: { 200: json(readinessSchema, 'Readiness') },
    },
    async (c) => c.json(await readReadiness(deps, c.req.valid('query')), 200),
  );

  register(
    'getRunbookReadiness',
    {
      method: 'get',
      path: '/runbooks/{name}/readiness',
      summary: 'Whether a runbook is verified, and every risk that concerns it',
      request: { params: runbookReadinessParam },
      responses: { 200: json(readinessSchema, 'Readiness of the runbook and of what it contains') },
    },
    async (c) => c.json(await readReadiness(deps, { of: c.req.valid('param').name }), 200),
  );

  register(
    'askReadiness',
    {
      method: 'post',
      path: '/readiness/rounds',
      summary: 'Ask every site now, without waiting for the next round',
      responses: { 200: json(roundSchema, 'How many risks appeared and went, and which sites did not answer') },
    },
    async (c) => {
      const { appeared, gone, silent } = await readinessRound(deps, servers);
      return c.json({ appeared, gone, silent: [...silent] }, 200);
    },
  );
}

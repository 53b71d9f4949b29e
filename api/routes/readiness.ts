/** Readiness: risks without a run, which runbooks are verified, and asking for it all at once. */
import type { z } from '@hono/zod-openapi';
import type { ApiDeps } from '../deps';
import type { KnownServers } from '../known-servers';
import { readReadiness } from '../readiness/read';
import { readinessRound } from '../readiness/round';
import { json, type Register } from '../register';
import type { RunbookPlaces } from '../runbooks/places';
import { noSuchRunbook } from '../runbooks/refused';
import {
  readinessQuery,
  readinessSchema,
  roundQuery,
  roundSchema,
  runbookReadinessParam,
  runbookReadinessQuery,
} from '../schemas/readiness';
import { within } from '../within';
import { serverParam } from './servers';

export function readinessRoutes(register: Register, deps: ApiDeps, servers: KnownServers, places: RunbookPlaces): void {
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
      request: { params: runbookReadinessParam, query: runbookReadinessQuery },
      responses: { 200: json(readinessSchema, 'Readiness of the runbook and of what it contains') },
    },
    async (c) => {
      const { name } = c.req.valid('param');
      await requireRunbook(deps, name);
      return c.json(await readReadiness(deps, { ...c.req.valid('query'), of: name }), 200);
    },
  );

  register(
    'askReadiness',
    {
      method: 'post',
      path: '/readiness/rounds',
      summary: 'Ask every site now, without waiting for the next round',
      description: 'With `of`: only the sites of this runbook or server, and only about it.',
      request: { query: roundQuery },
      responses: { 200: json(roundSchema, 'How many risks appeared and went, and which sites did not answer') },
    },
    async (c) => {
      return c.json(await askNow(deps, servers, c.req.valid('query').of), 200);
    },
  );

  register(
    'askRunbookReadiness',
    {
      method: 'post',
      path: '/runbooks/{name}/readiness/rounds',
      summary: 'Ask the sites of a runbook now, about its servers and those of what it contains',
      request: { params: runbookReadinessParam },
      responses: { 200: json(roundSchema, 'How many risks appeared and went, and which sites did not answer') },
    },
    async (c) => {
      const { name } = c.req.valid('param');
      await requireRunbook(deps, name);
      return c.json(await askNow(deps, servers, name), 200);
    },
  );

  serverReadinessRoutes(register, deps, servers, places);
}

/** Of one server: for who holds its site. Of the runbooks that have it those are shown that are theirs. */
function serverReadinessRoutes(
  register: Register,
  deps: ApiDeps,
  servers: KnownServers,
  { seenBy }: RunbookPlaces,
): void {
  register(
    'getServerReadiness',
    {
      method: 'get',
      path: '/servers/{server}/readiness',
      summary: 'Every risk that concerns a server, its site and the runbooks that have it',
      request: { params: serverParam, query: runbookReadinessQuery },
      responses: { 200: json(readinessSchema, 'Readiness; of its runbooks those where the role holds') },
    },
    async (c) => {
      const { id } = await servers.find(c.req.valid('param').server);
      const query = { ...c.req.valid('query'), of: id };
      return c.json(await readReadiness(deps, query, await seenBy(c.get('person'))), 200);
    },
  );

  register(
    'askServerReadiness',
    {
      method: 'post',
      path: '/servers/{server}/readiness/rounds',
      summary: 'Ask the site of a server now, about this server',
      request: { params: serverParam },
      responses: { 200: json(roundSchema, 'How many risks appeared and went, and which sites did not answer') },
    },
    async (c) => {
      const { id } = await servers.find(c.req.valid('param').server);
      return c.json(await askNow(deps, servers, id), 200);
    },
  );
}

/** The round, as it is answered. */
async function askNow(deps: ApiDeps, servers: KnownServers, of?: string): Promise<z.infer<typeof roundSchema>> {
  const { appeared, gone, silent } = await readinessRound(deps, servers, of);
  return { appeared, gone, silent: [...silent] };
}

/** A server's name is none: its readiness is not for who holds a runbook of that name. @throws Problem `not-found`. */
async function requireRunbook({ store, config }: ApiDeps, name: string): Promise<void> {
  const versions = await within(config.storeDeadlineMs, store.runbooks.versions(name));
  const all = () => within(config.storeDeadlineMs, store.runbooks.index());
  if (versions.length === 0) throw await noSuchRunbook(name, undefined, versions, all);
}

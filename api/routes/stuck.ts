/** The stuck list: the on-call engineer's home. */
import type { ApiDeps } from '../deps';
import { json, type Register } from '../register';
import { stuckQuery, stuckSchema } from '../schemas/stuck';
import type { SiteWatch } from '../site-watch';
import { listStuck } from '../stuck';

export function stuckRoutes(register: Register, deps: ApiDeps, sites: SiteWatch): void {
  register(
    'listStuck',
    {
      method: 'get',
      path: '/stuck',
      summary: 'What waits for people, of all runs, most urgent first',
      description:
        'Recovery before rehearsal, stuck before gate, tier, then who has waited longest. With Postgres away the open runs are asked themselves, and `notice` says so; it also says which sites have no worker, where runs stand still without anything that waits for people.',
      request: { query: stuckQuery },
      responses: { 200: json(stuckSchema, 'A page') },
    },
    async (c) => c.json(await listStuck(deps, sites, c.get('person'), c.req.valid('query')), 200),
  );
}

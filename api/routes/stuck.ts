/** The stuck list: the on-call engineer's home. */
import type { ApiDeps } from '../deps';
import { json, type Register } from '../register';
import { stuckQuery, stuckSchema } from '../schemas/stuck';
import { listStuck, type Watches } from '../stuck';

export function stuckRoutes(register: Register, deps: ApiDeps, watches: Watches): void {
  register(
    'listStuck',
    {
      method: 'get',
      path: '/stuck',
      summary: 'What waits for people, of all runs, most urgent first',
      description:
        'Recovery before rehearsal, stuck before gate, tier, then who has waited longest. With Postgres away the open runs are asked themselves, and `notice` says so; it also says what stands still without waiting for people: at which sites no worker is, and with which runs none can go on.',
      request: { query: stuckQuery },
      responses: { 200: json(stuckSchema, 'A page') },
    },
    async (c) => c.json(await listStuck(deps, watches, c.get('person'), c.req.valid('query')), 200),
  );
}

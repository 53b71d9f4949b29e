/** Leaving a site. */
import { z } from '@hono/zod-openapi';
import type { ApiDeps } from '../deps';
import { json, type Register } from '../register';
import { evacuationFor } from '../runbooks/evacuation';
import { siteId } from '../schemas/common';
import { evacuationSchema } from '../schemas/runbooks';

export function evacuationRoutes(register: Register, deps: ApiDeps): void {
  register(
    'planEvacuation',
    {
      method: 'get',
      path: '/sites/{site}/evacuation',
      summary: 'A runbook for leaving a site',
      description:
        'Every imported runbook that recovers a server of the site, in the order of their tiers, as a text to import. Nothing is stored.',
      request: { params: z.object({ site: siteId }) },
      responses: { 200: json(evacuationSchema, 'The text, what it includes, and what it leaves at the site') },
    },
    async (c) => c.json(await evacuationFor(deps, c.req.valid('param').site), 200),
  );
}

/** Physical machines: listed with what holds each, and given up. */
import type { ApiDeps } from '../deps';
import { releaseMachine, viewMachines } from '../machines';
import { atSite, sees } from '../reach';
import type { Refusals } from '../refusals';
import { body, json, type Register } from '../register';
import { machineParam, machinesSchema, releasedSchema, releaseSchema } from '../schemas/machines';

export function machineRoutes(register: Register, deps: ApiDeps, refusals: Refusals): void {
  register(
    'listMachines',
    {
      method: 'get',
      path: '/machines',
      summary: 'Physical machines: what holds each',
      responses: { 200: json(machinesSchema, 'Machines, and the sites that did not answer') },
    },
    async (c) => {
      const shown = sees(c.get('person'));
      const { items, unavailable } = await viewMachines(deps);
      const here = ({ siteId }: { siteId: string }): boolean => shown(atSite(siteId));
      return c.json({ items: items.filter(here), unavailable: unavailable.filter(here) }, 200);
    },
  );

  register(
    'releaseMachine',
    {
      method: 'post',
      path: '/machines/{machine}/release',
      summary: 'Give a physical machine up that no live run uses',
      description:
        'Its claim goes; its disks stay as they are, and an order still has to name them. Recorded in the chain of the installation. Free already: 200 with `released` false.',
      request: { params: machineParam, body: body(releaseSchema) },
      responses: { 200: json(releasedSchema, 'Free now') },
    },
    async (c) => {
      const { machine } = c.req.valid('param');
      const wanted = { ...c.req.valid('json'), by: c.get('by') };
      return c.json(await releaseMachine(deps, refusals, machine, wanted), 200);
    },
  );
}

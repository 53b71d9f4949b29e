/** Short answers about a site's physical machines: what holds each, and giving one up by a person's decision. */
import type { SiteActivities } from './contract';
import { asActivity } from './session';
import { recoverySite, type ActivityDeps } from './site';

type MachineAnswers = Pick<SiteActivities, 'viewMachines' | 'releaseMachine'>;

export function createMachineAnswers(deps: ActivityDeps): MachineAnswers {
  const machinesOf = (siteId: string) => recoverySite(deps.sites, siteId).physical?.given;
  return {
    viewMachines: ({ siteId }) => asActivity(async (signal) => (await machinesOf(siteId)?.holdings({ signal })) ?? []),
    releaseMachine: ({ siteId, machine, owner, switchedOff }) =>
      asActivity(async (signal) => {
        const ref = { name: machine, owner };
        return (await machinesOf(siteId)?.release(ref, { switchedOff }, { signal })) ?? { released: false };
      }),
  };
}

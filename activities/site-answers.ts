/** Short answers about a site itself: what it has that runbooks name. */
import type { SiteView } from '../model/site-view';
import type { SiteActivities } from './contract';
import { listPrograms } from './scripts/programs';
import { asActivity } from './session';
import { recoverySite, type ActivityDeps } from './site';

export function createSiteAnswers(deps: ActivityDeps): Pick<SiteActivities, 'viewSite'> {
  return {
    viewSite: ({ siteId }) =>
      asActivity(async (signal): Promise<SiteView> => {
        const { platform, physical } = recoverySite(deps.sites, siteId);
        const { networks } = await platform.health({ signal });
        const hardware = [...platform.capabilities.hardware, ...(physical?.capabilities.hardware ?? [])];
        return {
          networks: networks.map(({ name, isolated }) => ({ name, isolated })),
          hardware: [...new Set(hardware)],
          programs: await programsOf(deps),
        };
      }),
  };
}

/** A folder that cannot be used has nothing that may be run; `muster doctor` says why. */
const programsOf = ({ scriptsFolder }: ActivityDeps): Promise<readonly string[]> =>
  listPrograms(scriptsFolder).then(
    ({ programs }) => programs,
    () => [],
  );

/** The campaign's sites: `calm` for the undisturbed runs, `storm` for those among kills, each with a source of its own. */
import { join } from 'node:path';
import { openSimulatedSite, type SimulatedSite } from '../../platforms/simulated/open';

export type SiteName = 'calm' | 'storm';

export const siteFolder = (folder: string, name: string, part: 'recovery' | 'source'): string =>
  join(folder, 'sites', part === 'source' ? name : `${name}-${part}`);

/** Read by the workers of the stack (process.ts) at every call. */
export const faultsFile = (recoveryFolder: string): string =>
  join(recoveryFolder, '..', `faults-${recoveryFolder.split('/').at(-1)}.json`);

export interface SitePair {
  readonly name: SiteName;
  readonly recovery: SimulatedSite;
  readonly source: SimulatedSite;
}

/** The same folders that the stack's workers use, opened beside them. */
export function openSitePair(folder: string, name: SiteName): SitePair {
  const sourceId = `${name}-source`;
  const source = openSimulatedSite({ folder: siteFolder(folder, sourceId, 'source'), id: sourceId });
  const recovery = openSimulatedSite({
    folder: siteFolder(folder, name, 'recovery'),
    id: name,
    sources: { [sourceId]: source.source },
  });
  return { name, recovery, source };
}

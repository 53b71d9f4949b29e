/** What every check looks at: the configuration, the environment, the clock. Injected, so that a test can break each. */
import type { Configuration } from '../../config/configuration';
import { readRegister } from '../leftovers';
import { dataFolderAt, type DataFolder } from '../data-folder';

export interface Place {
  readonly configuration: Configuration;
  readonly env: NodeJS.ProcessEnv;
  readonly folder: DataFolder;
  /** UTC milliseconds of this host. */
  readonly now: () => number;
  /** Whether a `muster up` works on the data folder now: then its parts have to answer. */
  readonly upRuns: boolean;
}

export async function placeFor(
  configuration: Configuration,
  options: { readonly env?: NodeJS.ProcessEnv; readonly now?: () => number } = {},
): Promise<Place> {
  const folder = dataFolderAt(configuration.dataFolder);
  const register = await readRegister(folder.partsFile);
  return {
    configuration,
    folder,
    env: options.env ?? process.env,
    now: options.now ?? Date.now,
    upRuns: register !== undefined && processRuns(register.upPid),
  };
}

/** Signal 0 asks only; EPERM: it runs, as another user. */
export function processRuns(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Sites that need this machine's QEMU, libvirt and libguestfs. */
export function hasLibvirt({ configuration }: Pick<Place, 'configuration'>): boolean {
  return [...configuration.sites, ...configuration.sources].some((site) => site.kind === 'libvirt');
}

/** `qemu:///system` and its like: the hypervisor is on this machine. */
export const isLocalUri = (uri: string): boolean => /^qemu:\/\/\//.test(uri);

/** What a machine's hardware profile says of its controllers. The configuration names profiles that exist. */
import { PermanentError } from '../../model/errors';
import { hardwareProfiles, type DiskController, type HardwareProfile, type NicModel } from '../../model/server';

export const diskControllerOf = (id: string): DiskController => profile(id).diskController;
export const nicModelOf = (id: string): NicModel => profile(id).nicModel;

function profile(id: string): HardwareProfile {
  const found = hardwareProfiles[id];
  if (found !== undefined) return found;
  throw new PermanentError({
    what: `there is no hardware profile ${id}`,
    needed: Object.keys(hardwareProfiles).join(', '),
    remedy: 'Correct the machine in the configuration and restart the worker.',
  });
}

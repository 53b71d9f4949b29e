/** A worker that a test can kill: attaches one disk and tells its progress. What to do comes as JSON in PLACE. */
import type { MachineDisk, MachineRef } from '../../../platforms/contract';
import type { PhysicalMachine } from '../../../platforms/physical/machine';
import { createPhysicalPlatform } from '../../../platforms/physical/platform';
import { redfishUser } from '../../support/redfish';

interface Place {
  readonly folder: string;
  readonly machines: readonly PhysicalMachine[];
  readonly ref: MachineRef;
  readonly disk: MachineDisk;
}

async function attach({ folder, machines, ref, disk }: Place): Promise<void> {
  const secret = async () => Buffer.from(redfishUser.password);
  const platform = createPhysicalPlatform({ id: 'lab', folder, machines, secret, clock: Date.now });
  await platform.attachDisk(ref, disk, { onProgress: ({ label }) => void process.stdout.write(`${label}\n`) });
}

void attach(JSON.parse(process.env['PLACE']!) as Place);

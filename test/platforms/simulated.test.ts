import { randomUUID } from 'node:crypto';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MachineDisk } from '../../platforms/contract';
import { createDiskFile } from '../../platforms/simulated/disk-bytes';
import { openSimulatedSite } from '../../platforms/simulated/open';
import { seedMachine } from '../../platforms/simulated/seed';
import { describePlatform } from './conformance';

describePlatform('the simulated site', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'muster-sim-'));
  const sizeBytes = 64 * 1024;
  const newDisk = async (index: number): Promise<MachineDisk> => {
    const path = join(folder, 'disks', `${randomUUID()}.raw`);
    await createDiskFile(path, sizeBytes, null);
    return { diskId: `disk${index}`, index, path, format: 'raw', sizeBytes };
  };
  return {
    tenantId: 'conformance',
    platform: openSimulatedSite({ folder, id: 'lab' }).platform,
    network: 'lan',
    isolatedNetwork: 'isolated',
    newDisk,
    newOverlay: async (base) => {
      const path = `${base.path}.overlay`;
      await copyFile(base.path, path);
      return { ...base, path };
    },
    makeForeign: async (name) => {
      await seedMachine(folder, { name, power: 'off' });
    },
    cleanUp: () => rm(folder, { recursive: true, force: true }),
  };
});

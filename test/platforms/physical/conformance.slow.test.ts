/** Physical machines keep the platform contract as far as their capabilities say. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { describePlatform } from '../conformance';
import { addMachine, openTestSite } from './machine';

const sizeBytes = 4 * 1024 * 1024;

describePlatform(
  'physical machines',
  async () => {
    const site = await openTestSite();
    // A machine that is there for the networks alone.
    addMachine(site, {
      nics: [
        { index: 0, macAddress: '52:54:00:aa:bb:01', network: 'lan', isolated: false },
        { index: 1, macAddress: '52:54:00:aa:bb:02', network: 'quiet', isolated: true },
      ],
    });
    return {
      tenantId: 'conformance',
      platform: site.platform,
      network: 'lan',
      isolatedNetwork: 'quiet',
      newDisk: async (index) => {
        const path = join(site.folder, `${randomUUID()}.raw`);
        writeFileSync(path, Buffer.alloc(sizeBytes, index + 1));
        return { diskId: `disk${index}`, index, path, format: 'raw', sizeBytes };
      },
      newOverlay: () => Promise.reject(new Error('physical machines merge nothing')),
      makeForeign: () => Promise.reject(new Error('nobody else makes physical machines')),
      expectMachine: ({ name, hardware, firmware, cpuCount, memoryBytes, nics }) => {
        const plugged = nics.filter(({ network }) => network !== 'nowhere');
        addMachine(site, {
          ...{ name, hardware: hardware.id, firmware, cpuCount, memoryBytes },
          nics: plugged.map((nic) => ({ ...nic, isolated: nic.network === 'quiet' })),
          disks: [{ index: 0, device: site.newImage(sizeBytes), serial: null }],
        });
      },
      cleanUp: () => site.close(),
    };
  },
  { machines: 'given', hardware: ['physical-ahci', 'physical-nvme'] },
);

/** A realistic order for tests that need one and care about few of its fields. */
import { hardwareProfiles } from '../../model/server';
import type { Provenance, RecoveryOrder } from '../../model/order';
import type { ServerSpec } from '../../model/server';

export const storyRunId = '0195923c-70b4-7c31-9a55-3f2e8d10c7aa';
export const storyStart = '2026-03-14T02:11:07.412Z';

export const ines: Provenance = {
  actor: { kind: 'person', id: '01957bd0-0000-7000-8000-000000000001', name: 'Ines Okafor', role: 'operator' },
  authMethod: 'token',
  requestId: 'req-7f3a',
  address: '10.20.0.14',
};
export const tomas: Provenance = {
  ...ines,
  actor: { kind: 'person', id: '01957bd0-0000-7000-8000-000000000002', name: 'Tomáš Lindqvist', role: 'coordinator' },
  requestId: 'req-91bc',
  address: '10.20.0.31',
};

export const storyServer: ServerSpec = {
  id: '01957bd1-0000-7000-8000-0000000000a1',
  name: 'app01',
  tier: 1,
  os: {
    family: 'linux',
    distribution: 'debian',
    version: '12',
    prettyName: 'Debian GNU/Linux 12 (bookworm)',
    kernelRelease: '6.1.0-31-amd64',
  },
  firmware: 'bios',
  cpuCount: 2,
  memoryBytes: 2 * 1024 ** 3,
  disks: [
    { id: 'disk0', index: 0, sizeBytes: 3 * 1024 ** 3, controller: 'sata', sourceDevice: 'sda' },
    { id: 'disk1', index: 1, sizeBytes: 20 * 1024 ** 3, controller: 'sata', sourceDevice: 'sdb' },
  ],
  nics: [{ index: 0, macAddress: '52:54:00:6b:3c:58', model: 'e1000', network: 'prod' }],
  objectives: { rpoMs: 15_000, rtoMs: 15 * 60_000 },
  source: { siteId: 'berlin', machineName: 'app01' },
  recoverySiteId: 'frankfurt',
  cadence: { pointEveryMs: 5_000, freezeEveryMs: 60_000, keepPoints: 24 },
  probes: [
    {
      name: 'ledger',
      command: ['/usr/bin/ledger-check'],
      expectExitCode: 0,
      expectOutput: '^counter',
      timeoutMs: 10_000,
    },
  ],
};

export function makeOrder(changes: Partial<RecoveryOrder> = {}): RecoveryOrder {
  return {
    runId: storyRunId,
    tenantId: 'default',
    coreId: 'core1',
    procedure: 'push-button-recovery',
    mode: 'recovery',
    intent: 'disaster',
    option: 'backup-and-recover',
    server: storyServer,
    point: 'latest',
    finalCycle: 'auto',
    sourceDeadlineMs: 20_000,
    target: {
      siteId: 'frankfurt',
      machineName: 'app01-recovered',
      hardware: hardwareProfiles['vmware-pvscsi']!,
      firmware: 'bios',
      cpuCount: 2,
      memoryBytes: 2 * 1024 ** 3,
      networks: { prod: 'dr-prod' },
    },
    inoculate: true,
    powerOn: 'automatic',
    proof: { heartbeatTimeoutMs: 300_000, stableForMs: 30_000, screenshot: true },
    retry: { maxAttempts: 4, firstDelayMs: 2_000, factor: 2, maxDelayMs: 60_000 },
    reminderMs: 900_000,
    lostAt: '2026-03-14T02:06:51.000Z',
    requestedAt: '2026-03-14T02:11:07.120Z',
    requestedBy: ines,
    reason: 'Berlin lost power; facility says two days.',
    ...changes,
  };
}

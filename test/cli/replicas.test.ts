/** What `muster replicas` says of inoculation worked out ahead, from an API that answers just that. */
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { longestLine, muster } from './muster';

const takenAt = '2026-03-01T14:02:11.000Z';
const because = 'its initramfs must be rebuilt (kernel 6.1.0-37-amd64: its initramfs cannot be read: no entries)';
const replica = {
  ...{ serverId: 'server-1', serverName: 'app01', state: 'replicating', heldBy: null, lagMs: 1200, storedBytes: 4096 },
  ...{ points: [{ pointId: 'p1', takenAt, consistency: 'crash', storedBytes: 4096 }], lastError: null, orphans: [] },
  prepared: [
    { hardwareId: 'kvm-virtio', state: 'failed', at: takenAt, because },
    { hardwareId: 'vmware-pvscsi', state: 'prepared', at: takenAt, because: null },
  ],
};
let api: Server;
let env: Record<string, string>;

beforeAll(async () => {
  api = createServer((request, response) => {
    const one = request.url?.endsWith('/servers/app01/replica') === true;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(one ? replica : { items: [replica], unavailable: [] }));
  }).listen(0, '127.0.0.1');
  await once(api, 'listening');
  env = { MUSTER_URL: `http://127.0.0.1:${(api.address() as AddressInfo).port}`, MUSTER_TOKEN: 'mst_of-a-test' };
});
afterAll(() => api.close());

test('what cannot be prepared is said plainly, with its reason, for the hardware that it is about', async () => {
  const [one, all] = await Promise.all([muster(['replicas', 'app01'], env), muster(['replicas'], env)]);
  expect([one.exitCode, all.exitCode]).toEqual([0, 0]);
  const said = one.stdout.replace(/\s+/g, ' ');
  expect(said).toContain(`kvm-virtio not prepared: ${because}, 2026-03-01`);
  expect(said).toContain('vmware-pvscsi prepared, 2026-03-01');
  expect(all.stdout).toMatch(/^app01 .* not prepared/m);
  for (const { stdout } of [one, all]) expect(longestLine(stdout)).toBeLessThanOrEqual(80);
});

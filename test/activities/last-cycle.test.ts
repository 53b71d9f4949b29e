/** A planned recovery that is aborted in its last cycle: the source is not started beneath what still holds its disks. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { unobserved } from '../../activities/observer';
import { createReplicaEffects } from '../../activities/replica-effects';
import { seedMachine } from '../../platforms/simulated/seed';
import type { Replicas } from '../../replication/contract';
import { makeOrder, storyServer } from '../support/order';
import { openSites } from '../support/world-worker';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-last-cycle-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('the step ends when the cycle has let the disks go', async () => {
  const { production, recovery } = openSites(folder);
  const machineName = await seedMachine(join(folder, 'production'), { name: 'app01', diskSizesBytes: [256 * 1024] });
  const found = await production.source.discover(machineName);
  const source = { siteId: 'production', machineName };
  const server = { ...storyServer, ...found, source, recoverySiteId: 'recovery' };
  await recovery.replicas.prepare(server);
  await recovery.replicas.cycle(server);

  const aborted = new AbortController();
  let holds = false;
  const cycle: Replicas['cycle'] = async (_server, options) => {
    holds = true;
    setTimeout(() => aborted.abort(new Error('aborted by a person')), 50);
    while (options?.signal?.aborted !== true) await sleep(10);
    await sleep(500);
    holds = false;
    throw options.signal.reason;
  };
  const site = {
    id: 'recovery',
    ...recovery,
    replicas: { ...recovery.replicas, cycle },
    leaseFolder: join(folder, 'leases'),
  };
  const { freezeReplica } = createReplicaEffects({
    sites: {
      recovery: new Map([['recovery', site]]),
      source: new Map([['production', { id: 'production', ...production }]]),
    },
    evidence: { put: () => Promise.reject(new Error('no evidence is expected here')) },
    secrets: () => Promise.reject(new Error('no secret is expected here')),
    worker: { kind: 'worker', id: 'w', name: 'w' },
    now: Date.now,
    observer: unobserved,
  });
  const target = { ...makeOrder().target, siteId: 'recovery' };
  const order = makeOrder({ server, target, intent: 'planned', finalCycle: 'auto' });
  const { tenantId, coreId, runId } = order;
  const effect = { tenantId, coreId, runId, step: 'freeze', item: null, attempt: 1, token: 1, undo: false };
  const keep = () => Promise.reject(new Error());
  const attempt = { effect, signal: aborted.signal, progress: () => undefined, keep };
  await expect(freezeReplica({ order, effect }, attempt)).rejects.toThrow('aborted by a person');
  expect(holds).toBe(false);
});

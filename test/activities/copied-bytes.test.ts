import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unobserved } from '../../activities/observer';
import { createReplicaEffects } from '../../activities/replica-effects';
import type { RecoveryOption } from '../../model/replica';
import { seedMachine } from '../../platforms/simulated/seed';
import type { Replicas } from '../../replication/contract';
import { bytesDone } from '../../replication/progress';
import { makeOrder, storyServer } from '../support/order';
import { openSites } from '../support/world-worker';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-copied-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Takes a server's disks while the target server tells of `progress`, and returns what the observer is told. */
async function takeWith(option: RecoveryOption, progress: readonly (readonly [string, number])[]): Promise<unknown[]> {
  const { production, recovery } = openSites(folder);
  const machineName = await seedMachine(join(folder, 'production'), { name: 'app01', diskSizesBytes: [256 * 1024] });
  const found = await production.source.discover(machineName);
  const server = {
    ...storyServer,
    ...found,
    source: { siteId: 'production', machineName },
    recoverySiteId: 'recovery',
  };
  await recovery.replicas.prepare(server);
  await recovery.replicas.cycle(server);
  const take: Replicas['take'] = (of, point, how, runId, options) => {
    for (const [label, done] of progress) options?.onProgress?.(bytesDone(label, done, 100));
    return recovery.replicas.take(of, point, how, runId);
  };
  const order = makeOrder({ server, option, target: { ...makeOrder().target, siteId: 'recovery' } });
  const told: unknown[] = [];
  const site = { id: 'recovery', ...recovery, replicas: { ...recovery.replicas, take } };
  const { takeDisks } = createReplicaEffects({
    sites: { recovery: new Map([['recovery', { ...site, leaseFolder: join(folder, 'leases') }]]), source: new Map() },
    evidence: { put: () => Promise.reject(new Error('no evidence is expected here')) },
    secrets: () => Promise.reject(new Error('no secret is expected here')),
    worker: { kind: 'worker', id: 'w', name: 'w' },
    now: Date.now,
    observer: { ...unobserved, disksCopied: ({ runId }, bytes) => told.push([runId === order.runId, bytes]) },
  });
  const { tenantId, coreId, runId } = order;
  const effect = { tenantId, coreId, runId, step: 'take-disks', item: null, attempt: 1, token: 1, undo: false };
  const { pointId } = (await recovery.replicas.points(server.id))[0]!;
  const { signal } = new AbortController();
  const attempt = { effect, signal, progress: () => undefined, keep: () => Promise.reject(new Error()) };
  await takeDisks({ order, effect, pointId }, attempt);
  return told;
}

test('the bytes that a run copied are told once, all disks together', async () => {
  const progress = [
    ['copying disk0', 10],
    ['copying disk0', 100],
    ['copying disk1', 7],
  ] as const;
  expect(await takeWith('copy-and-recover', progress)).toEqual([[true, 107]]);
});

test('copies that are whole already count nothing, and overlays are no copies', async () => {
  expect(await takeWith('copy-and-recover', [])).toEqual([[true, 0]]);
  await rm(folder, { recursive: true });
  expect(await takeWith('backup-and-recover', [['merging', 5]])).toEqual([]);
});

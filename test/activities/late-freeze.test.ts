import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Attempt } from '../../activities/attempt';
import type { EffectInput } from '../../activities/contract';
import { createReplicaEffects } from '../../activities/replica-effects';
import { seedMachine } from '../../platforms/simulated/seed';
import { makeOrder, storyServer } from '../support/order';
import { openSites } from '../support/world-worker';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-late-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('a lost attempt of freeze that wakes up after its undo does not hold the replica for ever', async () => {
  const { production, recovery } = openSites(folder);
  const machineName = await seedMachine(join(folder, 'production'), { name: 'app01', diskSizesBytes: [256 * 1024] });
  const discovered = await production.source.discover(machineName);
  const source = { siteId: 'production', machineName };
  const server = { ...storyServer, ...discovered, source, recoverySiteId: 'recovery' };
  await recovery.replicas.prepare(server);
  await recovery.replicas.cycle(server);
  const { target } = makeOrder();
  const order = makeOrder({ server, finalCycle: 'never', target: { ...target, siteId: 'recovery' } });
  const { freezeReplica, thawReplica } = createReplicaEffects({
    sites: {
      recovery: new Map([['recovery', { id: 'recovery', ...recovery, leaseFolder: join(folder, 'leases') }]]),
      source: new Map([['production', { id: 'production', ...production }]]),
    },
    evidence: { put: () => Promise.reject(new Error('no evidence is expected here')) },
    secrets: () => Promise.reject(new Error('no secret is expected here')),
    worker: { kind: 'worker', id: 'w', name: 'w' },
    now: Date.now,
  });
  const attemptOf = (token: number, undo: boolean): [EffectInput, Attempt] => {
    const { tenantId, coreId, runId } = order;
    const effect = { tenantId, coreId, runId, step: 'freeze', item: null, attempt: token, token, undo };
    const signal = new AbortController().signal;
    return [
      { order, effect },
      { effect, signal, progress: () => undefined, keep: () => Promise.reject(new Error()) },
    ];
  };
  await freezeReplica(...attemptOf(2, false));
  expect((await recovery.replicas.view(server.id))?.heldBy).toBe(order.runId);
  await thawReplica(...attemptOf(3, true));
  await expect(freezeReplica(...attemptOf(1, false))).rejects.toMatchObject({
    family: 'PermanentError',
    message: expect.stringContaining('came too late') as string,
  });
  expect((await recovery.replicas.view(server.id))?.heldBy).toBeNull();
});

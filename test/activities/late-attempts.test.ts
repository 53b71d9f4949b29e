/** Attempts that were counted as lost and wake up after the undo of their step. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Attempt } from '../../activities/attempt';
import type { EffectInput } from '../../activities/contract';
import { createReplicaEffects } from '../../activities/replica-effects';
import type { RecoverySite } from '../../activities/site';
import type { RecoveryOrder } from '../../model/order';
import type { Platform } from '../../platforms/contract';
import { seedMachine } from '../../platforms/simulated/seed';
import { makeOrder, storyServer } from '../support/order';
import { openSites } from '../support/world-worker';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-late-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

type Parts = Partial<Pick<RecoverySite, 'replicas' | 'platform'>>;

/** A protected server, what its order asks for, and the effects on its replica with these parts of the site. */
async function protectedServer(changes: Partial<RecoveryOrder> = {}) {
  const { production, recovery } = openSites(folder);
  const machineName = await seedMachine(join(folder, 'production'), { name: 'app01', diskSizesBytes: [256 * 1024] });
  const discovered = await production.source.discover(machineName);
  const source = { siteId: 'production', machineName };
  const server = { ...storyServer, ...discovered, source, recoverySiteId: 'recovery' };
  await recovery.replicas.prepare(server);
  await recovery.replicas.cycle(server);
  const { target } = makeOrder();
  const order = makeOrder({ server, finalCycle: 'never', target: { ...target, siteId: 'recovery' }, ...changes });
  const effects = (parts: Parts = {}) =>
    createReplicaEffects({
      sites: {
        recovery: new Map([
          ['recovery', { id: 'recovery', ...recovery, ...parts, leaseFolder: join(folder, 'leases') }],
        ]),
        source: new Map([['production', { id: 'production', ...production }]]),
      },
      evidence: { put: () => Promise.reject(new Error('no evidence is expected here')) },
      secrets: () => Promise.reject(new Error('no secret is expected here')),
      worker: { kind: 'worker', id: 'w', name: 'w' },
      now: Date.now,
    });
  const attemptOf = (step: string, token: number, undo: boolean): [EffectInput, Attempt] => {
    const { tenantId, coreId, runId } = order;
    const effect = { tenantId, coreId, runId, step, item: null, attempt: token, token, undo };
    const signal = new AbortController().signal;
    return [
      { order, effect },
      { effect, signal, progress: () => undefined, keep: () => Promise.reject(new Error()) },
    ];
  };
  return { production, recovery, server, order, effects, attemptOf };
}

test('a lost attempt of freeze that wakes up after its undo does not hold the replica for ever', async () => {
  const { recovery, server, order, effects, attemptOf } = await protectedServer();
  const { freezeReplica, thawReplica } = effects();
  await freezeReplica(...attemptOf('freeze', 2, false));
  expect((await recovery.replicas.view(server.id))?.heldBy).toBe(order.runId);
  await thawReplica(...attemptOf('freeze', 3, true));
  await expect(freezeReplica(...attemptOf('freeze', 1, false))).rejects.toMatchObject({
    family: 'PermanentError',
    message: expect.stringContaining('came too late') as string,
  });
  expect((await recovery.replicas.view(server.id))?.heldBy).toBeNull();
});

test('a lost attempt to let replication go on does not keep the source off whose run is undone meanwhile', async () => {
  const planned = { intent: 'planned', option: 'copy-and-recover', sourceDeadlineMs: 20_000 } as const;
  const { production, recovery, effects, attemptOf } = await protectedServer(planned);
  const sourceIs = async () => (await production.platform.find('app01'))?.power;
  await production.platform.power({ name: 'app01', owner: null }, 'on');
  const { freezeReplica, rememberSource, thawReplica } = effects();
  await freezeReplica(...attemptOf('freeze', 1, false));
  expect(await sourceIs()).toBe('off');

  // A machine that is given: what the run took is dropped, and here that takes its time.
  let goOn = (): void => undefined;
  const stalled = new Promise<void>((resolve) => (goOn = resolve));
  let isDropping = (): void => undefined;
  const dropping = new Promise<void>((resolve) => (isDropping = resolve));
  const drop = (): Promise<void> => (isDropping(), stalled);
  const replicas = Object.assign(Object.create(recovery.replicas) as typeof recovery.replicas, { drop });
  const platform = Object.assign(Object.create(recovery.platform) as Platform, { given: {} });
  const lost = effects({ replicas, platform }).resumeReplication(...attemptOf('resume-replication', 2, false));
  await dropping;
  await rememberSource(...attemptOf('resume-replication', 3, true));
  goOn();
  await lost;
  await thawReplica(...attemptOf('freeze', 4, true));
  expect(await sourceIs()).toBe('on');
});

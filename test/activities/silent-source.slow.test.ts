/** A source site that answers nothing, neither yes nor no: whoever asks it goes on at the deadline, however much garbage is collected until then. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unobserved } from '../../activities/observer';
import { lookAtSources } from '../../activities/readiness-answers';
import { createReplicaEffects } from '../../activities/replica-effects';
import type { ActivityDeps } from '../../activities/site';
import { noteSourceStopped, startSourceAgain } from '../../activities/source';
import { lookAtSource } from '../../activities/source-watch';
import type { RecoveryOrder } from '../../model/order';
import type { ServerSpec } from '../../model/server';
import { seedMachine } from '../../platforms/simulated/seed';
import { createReplicas } from '../../replication/replicas';
import { whileCollecting } from '../support/garbage';
import { makeOrder, storyServer } from '../support/order';
import { openSites } from '../support/world-worker';

let folder: string;
let server: ServerSpec;
let sites: ReturnType<typeof openSites>;
let deps: ActivityDeps;
const never = new AbortController().signal;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-silent-source-'));
  // The hypervisor's user passes through.
  await chmod(folder, 0o711);
  sites = openSites(folder);
  const { production, recovery } = sites;
  const machineName = await seedMachine(join(folder, 'production'), { name: 'app01', diskSizesBytes: [256 * 1024] });
  const found = await production.source.discover(machineName);
  const source = { siteId: 'production', machineName };
  server = { ...storyServer, ...found, source, recoverySiteId: 'recovery' };
  await recovery.replicas.prepare(server);
  await recovery.replicas.cycle(server);
  await writeFile(join(folder, 'production', 'offline'), 'hang');
  deps = {
    sites: {
      recovery: new Map([['recovery', { id: 'recovery', ...recovery, leaseFolder: join(folder, 'leases') }]]),
      source: new Map([['production', { id: 'production', ...production }]]),
    },
    evidence: { put: () => Promise.reject(new Error('no evidence is expected here')) },
    secrets: () => Promise.reject(new Error('no secret is expected here')),
    worker: { kind: 'worker', id: 'w', name: 'w' },
    now: Date.now,
    observer: unobserved,
  };
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function attemptOf(change: Partial<RecoveryOrder>) {
  const target = { ...makeOrder().target, siteId: 'recovery' };
  const order = makeOrder({ server, target, finalCycle: 'auto', sourceDeadlineMs: 300, ...change });
  const { tenantId, coreId, runId } = order;
  const effect = { tenantId, coreId, runId, step: 'freeze', item: null, attempt: 1, token: 1, undo: false };
  const keep = () => Promise.reject(new Error());
  return { order, effect, attempt: { effect, signal: never, progress: () => undefined, keep } };
}

test('a server that is lost is frozen at its last point', async () => {
  const { order, effect, attempt } = attemptOf({ intent: 'disaster' });
  const { freezeReplica } = createReplicaEffects(deps);
  expect(await whileCollecting(freezeReplica({ order, effect }, attempt))).toMatchObject({
    finalCycle: 'source-unreachable',
  });
  await sites.recovery.replicas.letGo(server.id, order.runId);
});

test('a planned recovery says that the source cannot be stopped, and later that it was not started again', async () => {
  const { order, effect, attempt } = attemptOf({ intent: 'planned', runId: 'run-planned' });
  const { freezeReplica } = createReplicaEffects(deps);
  await expect(whileCollecting(freezeReplica({ order, effect }, attempt))).rejects.toMatchObject({
    family: 'OperatorError',
    message: expect.stringContaining('no answer from site production within 300 ms'),
  });
  const site = deps.sites.recovery.get('recovery')!;
  await noteSourceStopped(order, site);
  await expect(whileCollecting(startSourceAgain(deps, order, site, attempt))).rejects.toMatchObject({
    family: 'OperatorError',
    message: expect.stringContaining('was not started again'),
  });
});

test('whoever looks without a run stops looking', async () => {
  const { recovery } = sites;
  const replicas = createReplicas({
    ...{ folder: join(folder, 'replicas'), runtimeFolder: join(folder, 'run'), siteId: 'recovery', clock: Date.now },
    source: sites.production.source,
  });
  await replicas.prepare(server);
  const looks = Promise.all([
    lookAtSource(deps, server, ['/etc/fstab'], never),
    lookAtSources(deps, [server, { ...server, id: 'other' }], never),
    replicas.remove(server.id).then(() => replicas.view(server.id)),
  ]);
  const [paths, seen, view] = await whileCollecting(looks);
  expect(paths).toBeNull();
  expect(seen.map(({ because }) => because)).toEqual(['no answer within 8 s', 'no answer within 8 s']);
  expect(view).toBeUndefined();
  expect(await recovery.replicas.view(server.id)).toBeDefined();
});

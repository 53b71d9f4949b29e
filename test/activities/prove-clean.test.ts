/** Replication that ran before a rehearsal and did not go on is among what is left; the site itself is simulated, its lag is told. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Attempt } from '../../activities/attempt';
import { createCleanUpEffects } from '../../activities/clean-up-effects';
import type { ReplicaView } from '../../model/replica';
import type { ReplicationSeen, Survey } from '../../model/survey';
import { makeOrder, storyRunId, storyServer } from '../support/order';
import { openSites } from '../support/world-worker';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-clean-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const running: ReplicaView = {
  ...{ serverId: storyServer.id, serverName: storyServer.name, state: 'replicating', heldBy: null, points: [] },
  ...{ lagMs: 200, storedBytes: 0, lastError: null },
};
const behind = { ...running, lagMs: 3_600_000 };
const held = { ...running, state: 'frozen', heldBy: storyRunId } as const;
const takenOver = { ...running, state: 'suspended', heldBy: 'a-recovery' } as const;

const seen = ({ state, heldBy, lagMs }: ReplicaView): ReplicationSeen => ({
  ...{ at: '2026-03-14T02:11:00.000Z', state, heldBy, points: 3, newestTakenAt: null, lagMs },
});

/** `after`: what is seen from one look to the next; the last stays. */
const prove = (before: ReplicaView | null, during: ReplicaView | null, ...after: readonly ReplicaView[]) =>
  proveAs({}, before, during, after);

async function proveAs(
  why: { gaveWay?: true },
  before: ReplicaView | null,
  during: ReplicaView | null,
  after: readonly ReplicaView[],
) {
  const { recovery } = openSites(folder);
  const views = [...after];
  const view = () => Promise.resolve(views.length > 1 ? views.shift() : views[0]);
  const replicas = Object.assign(Object.create(recovery.replicas) as typeof recovery.replicas, { view });
  const site = { id: 'recovery', ...recovery, replicas, leaseFolder: join(folder, 'leases') };
  const { target } = makeOrder();
  const server = {
    ...storyServer,
    objectives: { ...storyServer.objectives, rpoMs: 600 },
    cadence: { ...storyServer.cadence, pointEveryMs: 200 },
  };
  const order = makeOrder({ server, mode: 'rehearsal', target: { ...target, siteId: 'recovery' } });
  const { proveClean } = createCleanUpEffects({
    sites: { recovery: new Map([['recovery', site]]), source: new Map() },
    evidence: { put: () => Promise.reject(new Error('the attempt keeps it')) },
    secrets: () => Promise.reject(new Error('no secret is expected here')),
    worker: { kind: 'worker', id: 'w', name: 'w' },
    now: Date.now,
  });
  const { tenantId, coreId, runId } = order;
  const effect = { tenantId, coreId, runId, step: 'prove-clean', item: null, attempt: 1, token: 1, undo: false };
  const keep: Attempt['keep'] = (_, bytes, name, mediaType) =>
    Promise.resolve({ sha256: '', sizeBytes: bytes.length, name, mediaType });
  const attempt = { effect, signal: new AbortController().signal, progress: () => undefined, keep };
  const survey = (one: ReplicaView): Survey => ({ at: '', items: [], others: {}, replication: seen(one) });
  const then = { before: before && survey(before), during: during && seen(during) };
  return proveClean({ effect, order, ...then, ...why }, attempt);
}

const left = (words: RegExp) =>
  expect.objectContaining({ family: 'OperatorError', message: expect.stringMatching(words) as string });

test.each([
  [
    'stands still afterwards',
    running,
    behind,
    /1 thing is not as before.*replication \(before: running, now: replicating, 1 h/,
  ],
  ['is still held by the rehearsal', running, held, new RegExp(`now: frozen, held by run ${storyRunId}`)],
  ['stood still while its machine stood', held, running, /while its machine stood: frozen.*rehearse again/s],
])('replication that ran before and %s is named with what to do', async (_, during, after, words) => {
  await expect(prove(running, during, after)).rejects.toEqual(left(words));
});

test('a replica that takes a moment is looked at again; what was behind meanwhile and has caught up is well', async () => {
  const { replication } = await prove(running, behind, behind, running);
  expect(replication.map(({ moment, ok }) => [moment, ok])).toEqual([
    ['before', true],
    ['during', true],
    ['after', true],
  ]);
});

test.each([
  ['did not run before', behind, behind, behind],
  ['nobody has looked at before', null, null, behind],
  ['a recovery has taken meanwhile', running, null, takenOver],
])('a replica that %s is none of the rehearsal’s', async (_, before, during, after) => {
  const { replication } = await prove(before, during, after);
  expect(replication.at(-1)).toMatchObject({ moment: 'after', ok: false });
});

test('a rehearsal that gave way to a recovery asks nobody about replication that stands still, and says so', async () => {
  const proof = await proveAs({ gaveWay: true }, running, behind, [behind]);
  expect(proof.replication.map(({ moment, ok }) => [moment, ok])).toEqual([
    ['before', true],
    ['during', false],
    ['after', false],
  ]);
  expect(proof.noted).toMatch(/gave way.*while its machine stood: replicating, 1 h.*now: replicating, 1 h/);
  const well = await proveAs({ gaveWay: true }, running, running, [running]);
  expect(well).not.toHaveProperty('noted');
  // What it still holds itself is left behind all the same.
  await expect(proveAs({ gaveWay: true }, running, running, [held])).rejects.toEqual(left(/now: frozen, held by run/));
});

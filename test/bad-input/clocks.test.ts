/** Clocks that are an hour off, or step back by an hour: nothing is ordered by them, and nothing waits for them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asyncLocalStorage, type Context } from '@temporalio/activity';
import { checkClocks } from '../../activities/preflight-replica';
import { createSessionActivities } from '../../activities/session';
import { objectivesOf } from '../../model/objectives';
import type { PointManifest } from '../../model/replica';
import { seedMachine } from '../../platforms/simulated/seed';
import { makeOrder, storyServer } from '../support/order';
import { openSites } from '../support/world-worker';
import { openSmallReplica, server as smallServer } from './support/small-replica';

// Generous: the machine may be busy with other suites.
jest.setTimeout(60_000);

const hour = 3600_000;

/** What an activity sees of Temporal. */
function inActivity<T>(activityId: string, work: () => Promise<T>): Promise<T> {
  const info = { activityId, attempt: 1, workflowExecution: { workflowId: 'session', runId: 'run' } };
  const context = { info, cancellationSignal: new AbortController().signal, heartbeat: () => undefined };
  return asyncLocalStorage.run(context as unknown as Context, work);
}

test('points stay in the order of their numbers when the site’s clock steps back, and no figure is negative', async () => {
  let now = Date.parse('2026-03-14T02:30:00Z');
  const replica = await openSmallReplica({ clock: () => now });
  try {
    now -= hour;
    const { manifest, durationMs } = await replica.replicas.cycle(smallServer);
    expect(manifest).toMatchObject({ sequence: 4, takenAt: '2026-03-14T01:30:00.000Z' });
    expect(durationMs).toBeGreaterThanOrEqual(0);
    const points = await replica.replicas.points(smallServer.id);
    expect(points.map((point) => point.sequence)).toEqual([1, 2, 3, 4]);
    now -= hour;
    expect(await replica.replicas.view(smallServer.id)).toMatchObject({ lagMs: 0, points: { length: 4 } });
  } finally {
    await replica.close();
  }
});

test('a session goes on taking points when its worker’s clock steps back by an hour', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'muster-clock-'));
  try {
    const { production, recovery } = openSites(folder);
    const machineName = await seedMachine(join(folder, 'production'), { name: 'app01', diskSizesBytes: [256 * 1024] });
    const discovered = await production.source.discover(machineName);
    const source = { siteId: 'production', machineName };
    const cadence = { pointEveryMs: 20, freezeEveryMs: 0, keepPoints: 50 };
    const server = { ...storyServer, ...discovered, source, cadence, recoverySiteId: 'recovery', prepareFor: [] };
    let behindMs = 0;
    const site = { id: 'recovery', ...recovery, leaseFolder: join(folder, 'leases') };
    const { prepareReplica, replicate } = createSessionActivities({
      sites: { recovery: new Map([['recovery', site]]), source: new Map() },
      evidence: { put: () => Promise.reject(new Error('no evidence is expected here')) },
      secrets: () => Promise.reject(new Error('no secret is expected here')),
      worker: { kind: 'worker', id: 'w', name: 'w' },
      now: () => Date.now() - behindMs,
    });
    const input = { tenantId: 'main', coreId: 'main', server };
    await inActivity('prepare', () => prepareReplica(input));
    const replicating = inActivity('replicate', () => replicate(input));
    const reached = async (count: number): Promise<void> => {
      const failed = replicating.then(() => Promise.reject(new Error('the session ended')));
      for (;;) {
        const look = recovery.replicas.points(server.id);
        if ((await Promise.race([look, failed])).length >= count) return;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    await reached(2);
    behindMs = hour;
    await reached(5);
    await recovery.replicas.hold(server.id, 'run-a', 'frozen');
    expect(await replicating).toMatchObject({ because: 'held' });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

describe('what the preflight says of clocks', () => {
  const requestedAt = '2026-03-14T02:11:00.000Z';
  const at = (changes: object) => Date.parse(requestedAt) + Number((changes as { now?: number }).now ?? 1000);
  const point = { takenAt: '2026-03-14T02:10:50.000Z', clockSkewMs: 12 } as PointManifest;
  test.each([
    ['nothing where they agree', {}, point, /^in agreement$/, true],
    [
      'a source an hour ahead',
      {},
      { ...point, clockSkewMs: hour },
      /source’s clock was 1 h 00 min ahead of this site’s/,
      false,
    ],
    [
      'a source an hour behind',
      {},
      { ...point, clockSkewMs: -hour },
      /source’s clock was 1 h 00 min behind this site’s/,
      false,
    ],
    [
      'an API an hour ahead of the worker',
      { now: -hour },
      point,
      /pushed 1 h 00 min after now: the API’s clock is ahead/,
      false,
    ],
    [
      'a point an hour after the button',
      {},
      { ...point, takenAt: '2026-03-14T03:11:00.000Z' },
      /point was taken 1 h 00 min after the button/,
      false,
    ],
    [
      'a loss that is stated an hour too late',
      { lostAt: '2026-03-14T03:11:00.000Z' },
      point,
      /stated loss is 1 h 00 min after the button/,
      false,
    ],
    ['a guest that could not be asked', {}, { ...point, clockSkewMs: null }, /^in agreement$/, true],
  ])('%s', (_what, changes, seen, words, ok) => {
    const order = makeOrder({ requestedAt, lostAt: null, ...changes });
    const check = checkClocks(order, seen, at(changes));
    expect(check).toMatchObject({ ok, severity: 'warning', found: expect.stringMatching(words) });
  });
});

test('the RPO is measured on the recovery site’s clock alone, and is never negative', () => {
  const order = makeOrder({ requestedAt: '2026-03-14T02:11:07.120Z', lostAt: null });
  const events = (takenAt: string, clockSkewMs: number) =>
    [
      { kind: 'run-opened', at: order.requestedAt, step: null, data: { order } },
      { kind: 'step-announced', at: order.requestedAt, step: 'freeze', data: {} },
      {
        kind: 'step-done',
        at: order.requestedAt,
        step: 'freeze',
        data: { result: { point: { pointId: 'p', takenAt, clockSkewMs, consistency: 'crash' } } },
      },
    ] as unknown as Parameters<typeof objectivesOf>[0];
  for (const skewMs of [0, hour, -hour]) {
    const { rpo } = objectivesOf(events('2026-03-14T02:11:00.000Z', skewMs), order.requestedAt)!;
    expect(rpo).toMatchObject({ actualMs: 7120, verdict: 'met' });
  }
  expect(objectivesOf(events('2026-03-14T03:11:07.120Z', 0), order.requestedAt)!.rpo).toMatchObject({ actualMs: 0 });
});

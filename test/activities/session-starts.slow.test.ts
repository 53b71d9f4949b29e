/** A session whose guest only starts: it asks again, holds nothing meanwhile, and copies without the agent in the end. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asyncLocalStorage, type Context } from '@temporalio/activity';
import { replicaResource } from '../../activities/common';
import { withLease } from '../../activities/lease';
import { unobserved } from '../../activities/observer';
import { createSessionActivities } from '../../activities/session';
import type { RecoverySite } from '../../activities/site';
import { TransientError } from '../../model/errors';
import type { CycleOptions } from '../../replication/contract';
import { refuseBeforeAgent } from '../../replication/agent-to-come';
import type { Domain } from '../../replication/libvirt-domain';
import { storyServer } from '../support/order';

const starting = { start: '1', agent: 'disconnected' } as Domain;
const server = { ...storyServer, prepareFor: [], cadence: { pointEveryMs: 20, freezeEveryMs: 0, keepPoints: 5 } };
let folder: string;
let asked: (boolean | undefined)[];
let failed: unknown[];
let heldBy: string | null;
/** What a cycle does before it takes its point. */
let guest: (options: CycleOptions) => Promise<void>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-starts-'));
  [asked, failed, heldBy] = [[], [], null];
});
afterEach(async () => {
  jest.restoreAllMocks();
  await rm(folder, { recursive: true, force: true });
});

/** Until there is a point, or a run holds the replica. */
function replicate(untilFirstPoint = true): Promise<unknown> {
  const replicas = {
    view: async () => ({ state: 'replicating', heldBy, points: [] }),
    cycle: async (_server: unknown, options: CycleOptions) => {
      asked.push(options.agentFirst);
      await guest(options);
      return {};
    },
  };
  const preparations = { clear: async () => undefined };
  const site = {
    ...{ id: server.recoverySiteId, replicas, preparations, leaseFolder: folder },
  } as unknown as RecoverySite;
  const activities = createSessionActivities({
    sites: { recovery: new Map([[server.recoverySiteId, site]]), source: new Map() },
    evidence: { put: () => Promise.reject(new Error('no evidence is expected here')) },
    secrets: () => Promise.reject(new Error('no secret is expected here')),
    worker: { kind: 'worker', id: 'w', name: 'w' },
    now: Date.now,
    observer: { ...unobserved, cycleFailed: (_server, error) => void failed.push(error) },
  });
  const info = { activityId: 'a', attempt: 1, workflowExecution: { workflowId: 'session', runId: 'run' } };
  const logs = { info: () => undefined, warn: () => undefined };
  const context = { info, log: logs, cancellationSignal: new AbortController().signal, heartbeat: () => undefined };
  return asyncLocalStorage.run(context as unknown as Context, () =>
    activities.replicate({ tenantId: 'main', coreId: 'main', server, untilFirstPoint }),
  );
}

/** As the source does, for what a cycle wants. */
const refuse = (options: CycleOptions): void =>
  refuseBeforeAgent('app01', starting, options.agentFirst === true ? { exceptInStart: null } : undefined);

test('it is asked again until the agent has come; whoever needs the replica meanwhile has it at once', async () => {
  let others = 0;
  guest = async (options) => {
    if (asked.length > 2) return;
    setTimeout(() => void withAnother().then(() => (others += 1)), 50);
    refuse(options);
  };
  const withAnother = () => {
    const holder = { runId: 'run-a', step: 'survey', item: null, attempt: 1, token: { execution: 'run-a/1' } };
    return withLease(folder, replicaResource(server.id), holder, () => Promise.resolve(), { waitMs: 1_000 });
  };
  expect(await replicate()).toMatchObject({ because: 'first-point', cycles: 1 });
  expect([asked, others, failed]).toEqual([[true, true, true], 2, []]);
});

test('after five minutes it is copied without, and the next time it starts it is waited for again', async () => {
  const now = performance.now.bind(performance);
  let later = 0;
  jest.spyOn(performance, 'now').mockImplementation(() => now() + later);
  guest = async (options) => {
    if (asked.length === 2) later = 300_000;
    if (asked.length === 5) heldBy = 'run-a';
    else refuse(options);
  };
  expect(await replicate(false)).toMatchObject({ because: 'held', cycles: 2 });
  expect([asked, failed]).toEqual([[true, true, false, true, true], []]);
});

test('what else fails a cycle ends the session’s stretch, as ever', async () => {
  const gone = new TransientError('the source is away');
  guest = () => Promise.reject(gone);
  await expect(replicate()).rejects.toMatchObject({ message: expect.stringContaining('the source is away') });
  expect([asked, failed]).toEqual([[true], [gone]]);
});

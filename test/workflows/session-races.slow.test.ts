/** Changes of a session that meet each other or the storage's absence: none may cost the replica. */
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { writeFaults } from '../../platforms/faults';
import type { ServerSpec } from '../../model/server';
import {
  pauseSessionUpdate,
  removeSessionUpdate,
  resumeSessionUpdate,
  sessionQuery,
  sessionWorkflowId,
  workflowQueue,
} from '../../workflows/messages';
import { ines } from '../support/order';
import { openWorld } from '../support/world';
import type { World } from '../support/world';
import { faulty, faultsFile } from '../support/world-worker';

let world: World;
beforeAll(async () => {
  world = await openWorld({ recoverySite: faulty });
}, 60_000);
afterEach(() => writeFaults(faultsFile(world.folder), []));
afterAll(async () => world?.close());

const act = (reason: string) => ({ args: [{ reason, by: ines }] as [{ reason: string; by: typeof ines }] });

function protect(server: ServerSpec): Promise<WorkflowHandle> {
  return world.client.workflow.start('replicationSession', {
    taskQueue: workflowQueue,
    workflowId: sessionWorkflowId('default', server.id),
    args: [{ tenantId: 'default', coreId: 'core1', server, by: ines }],
  });
}

async function until(question: () => Promise<boolean>): Promise<void> {
  while (!(await question())) await new Promise((resolve) => setTimeout(resolve, 30));
}

const sequence = async (server: ServerSpec): Promise<number> =>
  (await world.recovery.replicas.points(server.id)).at(-1)?.sequence ?? 0;

async function retire(session: WorkflowHandle): Promise<void> {
  await session.executeUpdate(removeSessionUpdate, act('over'));
  await session.result();
}

/** A session that was paused while its replica was prepared, which takes for ever so many times. */
async function pausedWhilePrepared(
  name: string,
  times: number,
): Promise<{ server: ServerSpec; session: WorkflowHandle }> {
  const server = await world.server(name);
  await world.recovery.replicas.remove(server.id);
  await writeFaults(faultsFile(world.folder), [{ method: 'prepare', delayMs: 600_000, times }]);
  const session = await protect(server);
  await until(async () => (await session.describe()).raw.pendingActivities?.length === 1);
  await session.executeUpdate(pauseSessionUpdate, act('too early'));
  return { server, session };
}

test('a pause while the replica is being prepared does not lead to its removal', async () => {
  const { server, session } = await pausedWhilePrepared('early', 1);
  await session.executeUpdate(resumeSessionUpdate, act('now'));
  await until(async () => (await sequence(server)) > 0);
  expect(await session.query(sessionQuery)).toMatchObject({ state: 'replicating' });
  await retire(session);
});

test('a pause that is taken back before the cycle has ended leaves the session alive', async () => {
  const server = await world.server('undecided');
  const session = await protect(server);
  const before = await sequence(server);
  await until(async () => (await sequence(server)) > before);
  await session.startUpdate(pauseSessionUpdate, { ...act('pause'), waitForStage: 'ACCEPTED' });
  await session.executeUpdate(resumeSessionUpdate, act('no'));
  const cancelled = async (): Promise<boolean> =>
    (await session.fetchHistory()).events!.some((event) => event.activityTaskCanceledEventAttributes != null);
  await until(cancelled);
  expect((await session.describe()).status.name).toBe('RUNNING');
  const then = await sequence(server);
  await until(async () => (await sequence(server)) > then);
  await retire(session);
});

test('a replica whose storage is away for a moment keeps its points and its session', async () => {
  const server = await world.server('unmounted');
  const session = await protect(server);
  const before = await sequence(server);
  await until(async () => (await sequence(server)) > before);
  const replicas = join(world.folder, 'recovery', 'replicas');
  await session.executeUpdate(pauseSessionUpdate, act('so that nothing is written in mid-move'));
  const kept = await sequence(server);
  await rename(replicas, `${replicas}.away`);
  await session.executeUpdate(resumeSessionUpdate, act('the storage is away now'));
  await until(async () => ((await session.query(sessionQuery)).lastError ?? '').includes('is not there'));
  await rename(`${replicas}.away`, replicas);
  await until(async () => (await sequence(server)) > kept);
  // A stretch of cycles lasts an hour; what went wrong before is over with the first point.
  await until(async () => (await session.query(sessionQuery)).lastError === null);
  await retire(session);
});

test('a replica on which a recovered machine stands is not removed before the machine is', async () => {
  const server = await world.server('stood-on');
  const session = await protect(server);
  await world.production.platform.power({ name: 'stood-on', owner: null }, 'off');
  const order = world.order(server);
  await (await world.start(order)).result();
  // The session learns a moment after the run's end that its replica is free again.
  await until(async () => (await session.query(sessionQuery)).heldBy === null);
  const removal = session.executeUpdate(removeSessionUpdate, act('retired'));
  const lastError = async (): Promise<string> => (await session.query(sessionQuery)).lastError ?? '';
  await until(async () => (await lastError()).includes('stood-on-recovered stands on its points'));
  expect(await world.recovery.replicas.points(server.id)).not.toHaveLength(0);
  const machine = { name: order.target.machineName, owner: { tenantId: 'default', runId: order.runId } };
  await world.recovery.platform.power(machine, 'off');
  await world.recovery.platform.remove(machine);
  expect(await removal).toMatchObject({ state: 'removed' });
  expect(await world.recovery.replicas.view(server.id)).toBeUndefined();
});

test('a session that is removed while it is paused is not prepared first', async () => {
  const { server, session } = await pausedWhilePrepared('not-wanted', 2);
  expect(await session.executeUpdate(removeSessionUpdate, act('not at all'))).toMatchObject({ state: 'removed' });
  await session.result();
  expect(await world.recovery.replicas.view(server.id)).toBeUndefined();
});

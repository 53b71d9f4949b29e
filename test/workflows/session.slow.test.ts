import type { WorkflowHandle } from '@temporalio/client';
import { preparedOverall } from '../../model/replica';
import type { ServerSpec } from '../../model/server';
import {
  liveRunQuery,
  pauseSessionUpdate,
  removeSessionUpdate,
  resumeSessionUpdate,
  sessionQuery,
  sessionWorkflowId,
  workflowQueue,
} from '../../workflows/messages';
import { ines } from '../support/order';
import { decide, keepHistory, openWorld, parked } from '../support/world';
import type { RunHandle, World } from '../support/world';

let world: World;
beforeAll(async () => {
  world = await openWorld();
}, 60_000);
afterAll(async () => world?.close());

async function protect(server: ServerSpec): Promise<WorkflowHandle> {
  return world.client.workflow.start('replicationSession', {
    taskQueue: workflowQueue,
    workflowId: sessionWorkflowId('default', server.id),
    args: [{ tenantId: 'default', coreId: 'core1', server, by: ines }],
  });
}

const newest = async (server: ServerSpec): Promise<number> =>
  (await world.recovery.replicas.points(server.id)).at(-1)!.sequence;

async function until(question: () => Promise<boolean>): Promise<void> {
  while (!(await question())) await new Promise((resolve) => setTimeout(resolve, 30));
}

const more = async (server: ServerSpec, than: number): Promise<void> =>
  until(async () => (await newest(server)) > than);
const act = (reason: string) => ({ args: [{ reason, by: ines }] as [{ reason: string; by: typeof ines }] });

async function removeMachine({ runOrder }: RunHandle): Promise<void> {
  const machine = { name: runOrder.target.machineName, owner: { tenantId: 'default', runId: runOrder.runId } };
  await world.recovery.platform.power(machine, 'off');
  await world.recovery.platform.remove(machine);
}

test('a session takes points at its cadence, pauses, resumes, is frozen by a run and is removed', async () => {
  const server = await world.server('kept');
  const session = await protect(server);
  await more(server, await newest(server));

  expect(await session.executeUpdate(pauseSessionUpdate, act('maintenance'))).toMatchObject({ state: 'paused' });
  const paused = await newest(server);
  await new Promise((resolve) => setTimeout(resolve, server.cadence.pointEveryMs * 4));
  expect(await newest(server)).toBe(paused);
  expect(await session.executeUpdate(resumeSessionUpdate, act('done'))).toMatchObject({ state: 'replicating' });
  await more(server, paused);

  const prepared = async () => preparedOverall((await world.recovery.replicas.view(server.id))?.prepared);
  await until(async () => (await prepared()) === 'prepared');

  const run = await world.start(world.order(server));
  const gate = await parked(run);
  const story = JSON.stringify(await run.query(liveRunQuery));
  expect(story).toMatch(/What inoculation changed and verified; what was prepared at \S+ was used, because/);
  await until(async () => (await session.query(sessionQuery)).state === 'frozen');
  expect(await session.query(sessionQuery)).toMatchObject({ heldBy: run.runOrder.runId });
  const frozen = await newest(server);
  await expect(session.executeUpdate(removeSessionUpdate, act('mistake'))).rejects.toMatchObject({
    cause: { type: 'NotAllowed' },
  });
  await decide(run, gate, 'approve');
  await run.result();
  await more(server, frozen);

  await removeMachine(run);
  await session.executeUpdate(removeSessionUpdate, act('retired'));
  expect(await session.result()).toMatchObject({ state: 'removed' });
  expect(await world.recovery.replicas.view(server.id)).toBeUndefined();
  await keepHistory(session, 'session');
});

test('a change of replication without a reason is refused', async () => {
  const server = await world.server('reasoned');
  const session = await protect(server);
  await expect(session.executeUpdate(pauseSessionUpdate, act(' '))).rejects.toMatchObject({
    cause: { type: 'NoReason' },
  });
  await session.executeUpdate(removeSessionUpdate, act('over'));
  await session.result();
});

test('a committed recovery ends the session of its server', async () => {
  const server = await world.server('taken');
  const session = await protect(server);
  await more(server, await newest(server));
  await world.production.platform.power({ name: 'taken', owner: null }, 'off');
  const run = await world.start(world.order(server, { option: 'destructive' }));
  await decide(run, await parked(run), 'commit');
  expect(await run.result()).toMatchObject({ state: 'succeeded' });
  expect(await session.result()).toMatchObject({ state: 'removed' });
});

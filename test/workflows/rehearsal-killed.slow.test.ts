/** The worker dies in each step of a rehearsal's clean-up, and in one that was started alone: the same run goes on, every effect happens once, nothing is left. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { v7 } from 'uuid';
import type { RecoveryOrder } from '../../model/order';
import { readFaults, writeFaults } from '../../platforms/faults';
import { readEffects } from '../../platforms/simulated/effects';
import { workflowQueue } from '../../workflows/messages';
import { cleanUpSteps, type CleanUpStep } from '../../workflows/rehearsal.steps';
import { lookAt, until } from '../support/plan-runs';
import { filesOfSite, rehearsalOrder, startRun } from '../support/rehearsal';
import { openWorld, parked, type RunHandle, type World } from '../support/world';
import { faultsFile } from '../support/world-worker';

let world: World;
let worker: ChildProcess | undefined;
beforeAll(async () => {
  world = await openWorld({ ownWorkers: true });
}, 60_000);
afterAll(async () => {
  await kill(worker);
  await world?.close();
});

/**
 * Step -> the call in which its attempt is caught, once the effect is done: its answer is lost. `passing`: calls of earlier steps,
 * the power-on and the survey.
 */
const catches = [
  { step: 'switch-off', method: 'power', passing: 1 },
  { step: 'forget-disks', method: 'unregisterDisk', passing: 0 },
  { step: 'remove-machine', method: 'remove', passing: 0 },
  { step: 'drop-disks', method: 'drop', passing: 0 },
  { step: 'remove-networks', method: 'removeNetwork', passing: 0 },
  { step: 'prove-clean', method: 'inventory', passing: 1 },
] as const satisfies readonly { step: CleanUpStep; method: string; passing: number }[];

/** Each changes the site, and may do so once. */
const effectsOfCleanUp = ['platform.power-off', 'platform.remove', 'platform.remove-network', 'replicas.drop'];

test('a worker that is killed in any step of the clean-up', async () => {
  expect(catches.map(({ step }) => step)).toEqual(cleanUpSteps);
  worker = await startWorker();
  const runs: { step: string; handle: RunHandle }[] = [];
  const servers = await Promise.all(catches.map(({ step }) => world.server(`k-${step}`)));
  const before = await filesOfSite(world);
  for (const [at, { step, method, passing }] of catches.entries()) {
    await holdCall(method, passing);
    runs.push({ step, handle: await startRun(world, rehearsalOrder(world, servers[at]!, { finalCycle: 'never' })) });
    await isHeld();
  }
  await killInIt();
  for (const { step, handle } of runs) {
    expect(await handle.result()).toMatchObject({ state: 'succeeded' });
    expect(await failuresOf(handle)).toEqual([[step, 'LostWorker']]);
  }
  expect(await filesOfSite(world)).toEqual(before);
  for (const { handle } of runs) expect(await effectsOf(handle.runOrder)).toEqual(effectsOfCleanUp.map(() => 1));
}, 240_000);

test('a worker that is killed in a clean-up that was started alone', async () => {
  const server = await world.server('k-alone');
  const before = await filesOfSite(world);
  const tryOut = { title: 'Try it', question: 'Does it work?' };
  const order = rehearsalOrder(world, server, { finalCycle: 'never', tryOut });
  const rehearsal = await startRun(world, order);
  expect(await parked(rehearsal)).toMatchObject({ step: 'try-out' });
  await rehearsal.terminate('somebody at Temporal');
  await holdCall('remove', 0);
  const { tryOut: _, ...rest } = order;
  const alone = { ...rest, runId: v7(), procedure: 'rehearsal-clean-up' as const, cleansUp: order.runId };
  const cleaning = await world.client.workflow.start('rehearsalCleanUp', {
    ...{ taskQueue: workflowQueue, workflowId: `clean-up/${alone.runId}`, args: [alone] },
  });
  await isHeld();
  await killInIt();
  expect(await cleaning.result()).toMatchObject({ state: 'succeeded' });
  expect(await failuresOf(cleaning)).toEqual([['remove-machine', 'LostWorker']]);
  expect(await filesOfSite(world)).toEqual(before);
  expect(await effectsOf(order)).toEqual(effectsOfCleanUp.map(() => 1));
}, 120_000);

const holdCall = (method: string, passing: number): Promise<void> =>
  writeFaults(faultsFile(world.folder), [{ method, when: 'after', after: passing, delayMs: 300_000, times: 1 }]);
const isHeld = (): Promise<void> => until(async () => (await readFaults(faultsFile(world.folder)))[0]?.fired === 1);

/** The next one finds no faults. */
async function killInIt(): Promise<void> {
  await kill(worker);
  await writeFaults(faultsFile(world.folder), []);
  worker = await startWorker();
}

async function failuresOf(handle: WorkflowHandle): Promise<(string | null)[][]> {
  const { events } = await lookAt(handle);
  return events.flatMap(({ kind, step, data }) => (kind === 'attempt-failed' ? [[step, data.failure.family]] : []));
}

async function effectsOf({ runId }: RecoveryOrder): Promise<number[]> {
  const effects = (await readEffects(join(world.folder, 'recovery'))).filter((one) => one.runId === runId);
  return effectsOfCleanUp.map((what) => effects.filter((one) => one.what === what).length);
}

async function startWorker(): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['-r', 'tsx/cjs', join(__dirname, '../support/world-worker.ts')], {
    env: { ...process.env, WORLD: JSON.stringify(world.settings) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`The worker ended with ${String(code)} before it polled`)));
  });
  return child;
}

async function kill(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

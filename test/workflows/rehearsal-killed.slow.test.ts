/** The worker dies in each step of a rehearsal's clean-up: the same run goes on, every effect happens once, nothing is left. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { readFaults, writeFaults } from '../../platforms/faults';
import { readEffects } from '../../platforms/simulated/effects';
import { filesOfSite, rehearsalOrder, startRun } from '../support/rehearsal';
import { live, openWorld, type RunHandle, type World } from '../support/world';
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

/** Step -> the call in which its attempt is caught; `after`: the effect is done, its answer is lost. */
const catches = [
  { step: 'forget-disks', method: 'unregisterDisk' },
  { step: 'remove-machine', method: 'remove' },
  { step: 'drop-disks', method: 'drop' },
  { step: 'remove-networks', method: 'removeNetwork' },
] as const;

test('a worker that is killed in any step of the clean-up', async () => {
  worker = await startWorker();
  const runs: { step: string; handle: RunHandle }[] = [];
  const servers = await Promise.all(catches.map(({ step }) => world.server(`k-${step}`)));
  const before = await filesOfSite(world);
  for (const [at, { step, method }] of catches.entries()) {
    await writeFaults(faultsFile(world.folder), [{ method, when: 'after', delayMs: 300_000, times: 1 }]);
    runs.push({ step, handle: await startRun(world, rehearsalOrder(world, servers[at]!, { finalCycle: 'never' })) });
    while ((await readFaults(faultsFile(world.folder)))[0]?.fired !== 1)
      await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await kill(worker);
  await writeFaults(faultsFile(world.folder), []);
  worker = await startWorker();
  for (const { step, handle } of runs) {
    expect(await handle.result()).toMatchObject({ state: 'succeeded' });
    const lost = (await live(handle)).events.filter((event) => event.kind === 'attempt-failed');
    expect(lost.map((event) => [event.step, event.data.failure.family])).toEqual([[step, 'LostWorker']]);
  }
  expect(await filesOfSite(world)).toEqual(before);
  const effects = await readEffects(join(world.folder, 'recovery'));
  for (const { handle } of runs) {
    for (const what of ['platform.remove', 'platform.remove-network', 'replicas.drop']) {
      const { runId } = handle.runOrder;
      expect(effects.filter((one) => one.what === what && one.runId === runId)).toHaveLength(1);
    }
  }
}, 240_000);

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

/**
 * The worker dies in every step: each run is held in a step of its own, then the one worker process is killed. A new one
 * starts, and every run goes on to the same end, with every effect done once.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { readFaults, writeFaults } from '../../platforms/faults';
import { readEffects } from '../../platforms/simulated/effects';
import { decide, keepHistory, live, openWorld, parked } from '../support/world';
import type { RunHandle, World } from '../support/world';
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
  { step: 'preflight', method: 'points', when: 'before' },
  { step: 'freeze', method: 'hold', when: 'after' },
  { step: 'take-disks', method: 'take', when: 'after' },
  { step: 'apply-signature', method: 'applySignatures', when: 'after' },
  { step: 'inoculate', method: 'inoculate', when: 'before' },
  { step: 'create-machine', method: 'create', when: 'after' },
  { step: 'hand-over', method: 'handOver', when: 'after' },
  { step: 'register-disks', method: 'registerDisk', when: 'after' },
  { step: 'release-disks', method: 'release', when: 'before' },
  { step: 'power-on', method: 'power', when: 'after' },
  { step: 'prove-boot', method: 'look', when: 'before' },
  { step: 'resume-replication', method: 'letGo', when: 'after' },
] as const;

test('a worker that is killed in any step: the same runs go on, and every effect happens once', async () => {
  worker = await startWorker();
  const runs: { step: string; handle: RunHandle }[] = [];
  for (const { step, method, when } of catches) {
    const server = await world.server(`k-${step}`);
    await world.production.platform.power({ name: `k-${step}`, owner: null }, 'off');
    await writeFaults(faultsFile(world.folder), [{ method, when, delayMs: 300_000, times: 1 }]);
    const handle = await world.start(world.order(server, { finalCycle: 'never' }));
    runs.push({ step, handle });
    while ((await readFaults(faultsFile(world.folder)))[0]?.fired !== 1)
      await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await kill(worker);
  await writeFaults(faultsFile(world.folder), []);
  worker = await startWorker();

  for (const { step, handle } of runs) {
    expect(await handle.result()).toMatchObject({ state: 'succeeded' });
    const { events } = await live(handle);
    const lost = events.filter((event) => event.kind === 'attempt-failed');
    expect(lost.map((event) => [event.step, event.data.failure.family])).toEqual([[step, 'LostWorker']]);
  }
  const effects = await readEffects(join(world.folder, 'recovery'));
  for (const { handle } of runs) {
    const ours = effects.filter((effect) => effect.runId === handle.runOrder.runId);
    const counts = new Map<string, number>();
    for (const { what, disk } of ours)
      counts.set(`${what} ${disk ?? ''}`, (counts.get(`${what} ${disk ?? ''}`) ?? 0) + 1);
    expect([...counts].filter(([, count]) => count > 1)).toEqual([]);
    expect([...counts.keys()].some((what) => what.startsWith('platform.create'))).toBe(true);
  }
  await keepHistory(runs[3]!.handle, 'lost-worker');
}, 240_000);

test('three workers lost in a row park the step, and a person can go on', async () => {
  worker ??= await startWorker();
  const server = await world.server('thrice');
  await world.production.platform.power({ name: 'thrice', owner: null }, 'off');
  await writeFaults(faultsFile(world.folder), [{ method: 'take', kill: true, times: 3 }]);
  const handle = await world.start(world.order(server, { finalCycle: 'never' }));
  for (let deaths = 0; deaths < 3; deaths += 1) {
    const dying = worker;
    await new Promise((resolve) =>
      dying.exitCode === null && dying.signalCode === null ? dying.once('exit', resolve) : resolve(null),
    );
    worker = await startWorker();
  }
  const stuck = await parked(handle);
  expect(stuck).toMatchObject({
    step: 'take-disks',
    kind: 'stuck',
    cause: expect.stringContaining('worker') as string,
  });
  await decide(handle, stuck, 'retry');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
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

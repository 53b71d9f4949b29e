/** A runbook's scripts around the steps of a run on a simulated site: order, retries, people, a worker that dies in the middle. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RecoveryOrder } from '../../model/order';
import type { Script } from '../../model/runbook/runbook';
import { planWorkflowId, workflowQueue, yieldToSignal } from '../../workflows/messages';
import { ines } from '../support/order';
import { planOfLost } from '../support/plan';
import { isRunning } from '../support/processes';
import { rehearsalOrder, startRun } from '../support/rehearsal';
import { decide, keepHistory, live, openWorld, parked, type RunHandle, type World } from '../support/world';

let world: World;
let worker: ChildProcess;
beforeAll(async () => {
  world = await openWorld({ ownWorkers: true });
  await mkdir(join(world.folder, 'programs'), { mode: 0o755 });
  worker = await startWorker();
}, 60_000);
afterAll(async () => {
  await kill(worker);
  await world?.close();
});

const script = (name: string, step: string, changes: Partial<Script> & { args?: string[] } = {}): Script => {
  const { args = [], ...more } = changes;
  return {
    ...{ name, when: 'before', at: { kind: 'step', step }, servers: 'all', in: ['recovery', 'rehearsal'] },
    run: { on: 'worker', program: 'note', args: [name, ...args] },
    ...{ environment: {}, timeoutMs: 60_000, attempts: 1, exitCodes: {} },
    ...more,
  };
};

const notes = async (): Promise<string[]> =>
  (await readFile(join(world.folder, 'notes'), 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');

/** Writes `NAME STEP ATTEMPT` to the notes, then does what its arguments say. */
async function notingProgram(): Promise<void> {
  const text = [
    '#!/bin/sh',
    `echo "$1 $MUSTER_STEP $MUSTER_ATTEMPT" >> ${world.folder}/notes`,
    `case "$2" in`,
    `  exit) [ -e ${world.folder}/mended ] || exit "$3" ;;`,
    `  hang) if [ "$MUSTER_ATTEMPT" = 1 ]; then sleep 600 & echo $! > ${world.folder}/child; wait; fi ;;`,
    'esac',
  ].join('\n');
  await writeFile(join(world.folder, 'programs', 'note'), `${text}\n`, { mode: 0o755 });
}

async function lost(name: string, changes: Partial<RecoveryOrder>): Promise<RunHandle> {
  await notingProgram();
  await writeFile(join(world.folder, 'notes'), '');
  const server = await world.server(name);
  await world.production.platform.power({ name, owner: null }, 'off');
  return world.start(world.order(server, { finalCycle: 'never', ...changes }));
}

test('scripts run before, after and instead of steps, on the worker and in the guest, and stand in the record', async () => {
  const handle = await lost('s1', {
    scripts: [
      script('b1', 'create-machine'),
      script('b2', 'create-machine'),
      script('a1', 'create-machine', { when: 'after' }),
      script('each', 'hand-over', { when: 'after' }),
      script('not-now', 'create-machine', { in: ['clean-up', 'failback'].slice(0, 1) as Script['in'] }),
      script('drivers', 'inoculate', { when: 'before' }),
      script('look', 'register-disks', { when: 'instead' }),
      script('inside', 'prove-boot', {
        when: 'after',
        run: { on: 'guest', program: '/usr/bin/env', args: [] },
        environment: { ROLE: 'primary' },
      }),
      script('warn', 'resume-replication', { args: ['exit', '7'], exitCodes: { '7': 'warning' } }),
    ],
  });
  expect(await handle.result()).toMatchObject({ state: 'succeeded-with-exceptions' });
  expect(await notes()).toEqual([
    ...['drivers inoculate 1', 'b1 create-machine 1', 'b2 create-machine 1', 'a1 create-machine 1'],
    ...['each hand-over 1', 'look register-disks 1', 'warn resume-replication 1'],
  ]);
  const { events } = await live(handle);
  const of = (step: string) =>
    events.filter((event) => event.step === step).map(({ kind, item }) => `${kind} ${item ?? '-'}`);
  expect(of('create-machine')).toEqual([
    'step-announced -',
    ...['b1', 'b2'].flatMap((name) => [`attempt-started script:${name}`, `attempt-succeeded script:${name}`]),
    ...['attempt-started -', 'attempt-succeeded -'],
    ...['attempt-started script:a1', 'attempt-succeeded script:a1', 'step-done -'],
  ]);
  expect(of('register-disks')).toEqual([
    ...['step-announced -', 'attempt-started script:look', 'attempt-succeeded script:look', 'step-done -'],
  ]);
  const shown = events.find((event) => event.kind === 'evidence' && event.item === 'script:inside');
  const { sha256 } = (shown as Extract<typeof shown, { kind: 'evidence' }>)!.data.evidence;
  const { tenantId, coreId, runId } = handle.runOrder;
  const folder = join(world.folder, 'evidence', tenantId, coreId, sha256.slice(0, 2));
  const text = await readFile(join(folder, sha256.slice(2)), 'utf8');
  expect(text).toContain('ROLE=primary\n');
  expect(text).toContain(`MUSTER_RUN_ID=${runId}\nMUSTER_MODE=recovery\n`);
}, 120_000);

test('a script that fails is tried as often as it says, parks, and goes on when what it names is mended', async () => {
  const failing = script('fence', 'power-on', { args: ['exit', '3'], attempts: 2, exitCodes: { '3': 'retry' } });
  const handle = await lost('s2', { scripts: [failing] });
  const parking = await parked(handle);
  expect(parking).toMatchObject({
    ...{ step: 'power-on', item: 'script:fence', kind: 'stuck', provides: [] },
    title: expect.stringContaining('script fence'),
    cause: expect.stringContaining('exit code 3'),
    allowed: expect.arrayContaining(['retry', 'skip', 'abort']),
  });
  expect(await notes()).toEqual(['fence power-on 1', 'fence power-on 2']);
  expect((await world.recovery.platform.find('s2-recovered'))?.power).toBe('off');
  await writeFile(join(world.folder, 'mended'), '');
  await decide(handle, parking, 'retry');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  expect(await notes()).toHaveLength(3);
}, 120_000);

test('a program that is not there parks at once; skipped with a reason the run goes on and does not read as a plain success', async () => {
  const absent = script('gone', 'freeze', { run: { on: 'worker', program: 'gone', args: [] }, attempts: 5 });
  const handle = await lost('s3', { scripts: [absent] });
  const parking = await parked(handle);
  expect(parking).toMatchObject({
    step: 'freeze',
    item: 'script:gone',
    cause: expect.stringContaining('programs/gone'),
  });
  await decide(handle, parking, 'skip', { reason: 'Done by hand' });
  expect(await handle.result()).toMatchObject({ state: 'succeeded-with-exceptions' });
  const { events } = await live(handle);
  expect(events.find(({ kind }) => kind === 'step-skipped')).toMatchObject({
    ...{ step: 'freeze', item: 'script:gone', data: { reason: 'Done by hand' } },
  });
}, 120_000);

test('a wave’s scripts run before its first server and after its last', async () => {
  await notingProgram();
  await writeFile(join(world.folder, 'notes'), '');
  const atWave = (name: string, when: 'before' | 'after', wave: string) =>
    script(name, '', { when, at: { kind: 'wave', wave } });
  const scripts = [atWave('open', 'before', 'data'), atWave('close', 'after', 'data'), atWave('next', 'before', 'web')];
  const order = await planOfLost(
    world,
    {
      d1: { wave: 'data', order: { scripts: [script('first', 'preflight'), script('last', 'prove-boot')] } },
      w1: { wave: 'web', order: { scripts: [script('web', 'preflight')] } },
    },
    { scripts, commit: { kind: 'automatic', act: 'commit', afterMs: 1 } },
  );
  const handle = await world.client.workflow.start('plan', {
    ...{ taskQueue: workflowQueue, workflowId: planWorkflowId(order.tenantId, order.runId), args: [order] },
  });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  expect(await notes()).toEqual([
    ...['open scripts 1', 'first preflight 1', 'last prove-boot 1', 'close scripts 1'],
    ...['next scripts 1', 'web preflight 1'],
  ]);
}, 120_000);

test('in a failback those of failbacks run, at waves and at steps, and those of recoveries do not', async () => {
  await notingProgram();
  await writeFile(join(world.folder, 'notes'), '');
  const atWave = (name: string, occasion: Script['in'][number]) =>
    script(name, '', { at: { kind: 'wave', wave: 'data' }, in: [occasion] });
  const order = await planOfLost(
    world,
    { f1: { wave: 'data', order: { scripts: [script('back', 'preflight', { in: ['failback'] })] } } },
    {
      ...{ direction: 'failback', scripts: [atWave('home', 'failback'), atWave('away', 'recovery')] },
      commit: { kind: 'automatic', act: 'commit', afterMs: 1 },
    },
  );
  const handle = await world.client.workflow.start('plan', {
    ...{ taskQueue: workflowQueue, workflowId: planWorkflowId(order.tenantId, order.runId), args: [order] },
  });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  expect(await notes()).toEqual(['home scripts 1', 'back preflight 1']);
}, 120_000);

const tidying = (more: Script[] = []): Script[] => [
  script('tidy', 'switch-off', { in: ['clean-up'] }),
  script('free', 'drop-disks', { in: ['clean-up'], when: 'after' }),
  ...more,
];
async function rehearsed(name: string, changes: Partial<RecoveryOrder>): Promise<RunHandle> {
  await notingProgram();
  await rm(join(world.folder, 'mended'), { force: true });
  await writeFile(join(world.folder, 'notes'), '');
  return startRun(world, rehearsalOrder(world, await world.server(name), changes));
}

/** Machines and networks of the run that the platform still has. */
async function leftOf({ runOrder: { target, isolation } }: RunHandle): Promise<string[]> {
  const { platform } = world.recovery;
  const names = [...(await platform.list()), ...(await platform.networks())].map(({ name }) => name);
  return names.filter((name) => name === target.machineName || isolation!.networks.includes(name));
}

test('the scripts of a clean-up run in it, once, beside those of the rehearsal', async () => {
  const own = script('own', 'prove-boot', { in: ['rehearsal'] });
  const handle = await rehearsed('c1', { scripts: tidying([own, script('not', 'switch-off', { in: ['rehearsal'] })]) });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  expect(await notes()).toEqual(['own prove-boot 1', 'tidy switch-off 1', 'free drop-disks 1']);
}, 120_000);

test('aborted, it runs those whose step has something to take back; one that fails waits for people, and they may skip it', async () => {
  const failing = script('names', 'remove-machine', { in: ['clean-up'], args: ['exit', '3'] });
  const guest = script('inside', 'switch-off', {
    ...{ in: ['clean-up' as const], run: { on: 'guest' as const, program: '/usr/bin/env', args: [] } },
  });
  const handle = await rehearsed('c2', { scripts: tidying([failing, guest]), powerOn: 'decision' });
  const gate = await parked(handle);
  expect(gate.step).toBe('power-on');
  await decide(handle, gate, 'abort');
  await until(async () => (await live(handle)).parkings.some(({ undo }) => undo));
  const stuck = await parked(handle);
  expect(stuck).toMatchObject({
    ...{ step: 'remove-machine', item: 'script:names', undo: true, allowed: ['retry', 'skip'] },
    cause: expect.stringContaining('exit code 3'),
  });
  // The machine never ran: nothing of it is to be switched off, and there is no guest to ask.
  expect(await notes()).toEqual(['names remove-machine 1']);
  await decide(handle, stuck, 'skip', { reason: 'Taken out by hand' });
  expect(await handle.result()).toMatchObject({
    state: 'aborted',
    summary: expect.stringContaining('Not undone, by decision: remove-machine/script:names: Taken out by hand.'),
  });
  await keepHistory(handle, 'undone-with-scripts');
  expect(await notes()).toEqual(['names remove-machine 1', 'free drop-disks 1']);
  expect(await leftOf(handle)).toEqual([]);
}, 120_000);

test('given up, it does not wait for people at a script without end either', async () => {
  const failing = script('names', 'remove-machine', { in: ['clean-up'], args: ['exit', '3'] });
  const tryOut = { title: 'Try it', question: 'Does it work?' };
  const handle = await rehearsed('c3', { scripts: tidying([failing]), tryOut, giveUpAfterMs: 500 });
  expect(await handle.result()).toMatchObject({
    state: 'failed',
    summary: expect.stringMatching(/nobody tried it.*remove-machine\/script:names: nobody decided within 500 ms\.$/),
  });
  expect(await notes()).toEqual(['tidy switch-off 1', 'names remove-machine 1', 'free drop-disks 1']);
  expect(await leftOf(handle)).toEqual([]);
}, 120_000);

test('a recovery for which it gives way is not kept waiting by a script that fails', async () => {
  const failing = script('names', 'remove-machine', { in: ['clean-up'], args: ['exit', '3'] });
  const handle = await rehearsed('c4', { scripts: [failing], tryOut: { title: 'Try it', question: 'Does it work?' } });
  await parked(handle);
  await handle.signal(yieldToSignal, { runId: 'of-the-recovery', by: ines });
  expect(await handle.result()).toMatchObject({
    state: 'aborted',
    summary: expect.stringContaining('script:names: a recovery is not kept waiting for it.'),
  });
  expect(await leftOf(handle)).toEqual([]);
}, 120_000);

test('a worker killed in the middle of a script takes the script and its children with it; the script runs again', async () => {
  const handle = await lost('s4', { scripts: [script('long', 'create-machine', { args: ['hang'] })] });
  await until(async () => (await readFile(join(world.folder, 'child'), 'utf8').catch(() => '')) !== '');
  const child = (await readFile(join(world.folder, 'child'), 'utf8')).trim();
  await kill(worker);
  await until(async () => !(await isRunning(child)));
  worker = await startWorker();
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  expect(await notes()).toEqual(['long create-machine 1', 'long create-machine 2']);
  const { events } = await live(handle);
  const failed = events.find((event) => event.kind === 'attempt-failed');
  expect(failed).toMatchObject({ item: 'script:long', data: { failure: { family: 'LostWorker' } } });
  expect(events.filter(({ kind }) => kind === 'noted').map(({ data }) => data)).toEqual([
    { message: expect.stringContaining('attempt 1 may have done a part of its work') },
  ]);
}, 120_000);

async function until(look: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 60_000; !(await look());) {
    if (Date.now() > end) throw new Error('It did not come to that within a minute');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function startWorker(): Promise<ChildProcess> {
  const file = join(__dirname, '..', 'support', 'world-worker.ts');
  const child = spawn(process.execPath, ['-r', 'tsx/cjs', file], {
    env: { ...process.env, WORLD: JSON.stringify(world.settings) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`The worker ended with ${code} before it polled`)));
  });
  return child;
}

async function kill(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

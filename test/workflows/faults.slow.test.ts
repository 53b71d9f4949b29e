import { join } from 'node:path';
import { writeFaults } from '../../platforms/faults';
import type { FaultRule } from '../../platforms/faults';
import { readEffects } from '../../platforms/simulated/effects';
import type { RecoveryOrder } from '../../model/order';
import { abortUpdate } from '../../workflows/messages';
import type { PushButtonStep } from '../../workflows/push-button-recovery.steps';
import { pushButtonDeclaration } from '../../workflows/push-button-recovery.steps';
import { ines } from '../support/order';
import { decide, keepHistory, live, openWorld, parked } from '../support/world';
import type { RunHandle, World } from '../support/world';
import { faulty, faultsFile } from '../support/world-worker';

let world: World;
let rulesFile: string;
beforeAll(async () => {
  world = await openWorld({ recoverySite: faulty });
  rulesFile = faultsFile(world.folder);
}, 60_000);
afterEach(() => writeFaults(rulesFile, []));
afterAll(async () => world?.close());

interface Weakness {
  /** The call that fails, and how many calls of it pass before this step's. */
  readonly rule: Pick<FaultRule, 'method' | 'after'>;
  readonly option?: RecoveryOrder['option'];
}

/** For each step that acts, the call at its site that is made to fail. */
const weaknesses: Partial<Record<PushButtonStep, Weakness>> = {
  preflight: { rule: { method: 'points' } },
  freeze: { rule: { method: 'hold' } },
  'take-disks': { rule: { method: 'take' } },
  'apply-signature': { rule: { method: 'applySignatures' } },
  inoculate: { rule: { method: 'inoculate' } },
  'suspend-replication': { rule: { method: 'hold', after: 1 }, option: 'destructive' },
  'create-machine': { rule: { method: 'create' } },
  'hand-over': { rule: { method: 'handOver' } },
  'register-disks': { rule: { method: 'registerDisk' } },
  'release-disks': { rule: { method: 'release' } },
  'power-on': { rule: { method: 'power' } },
  // create-machine asks first, whether it was there already; power-on, whether it is as it was built.
  'prove-boot': { rule: { method: 'find', after: 2 } },
  'resume-replication': { rule: { method: 'letGo' } },
};

test('every step that acts is in the table below', () => {
  const acting = pushButtonDeclaration.steps.map((step) => step.id).filter((id) => id !== 'update-registry');
  expect(Object.keys(weaknesses)).toEqual(acting);
});

async function lostServer(
  name: string,
  weakness: Weakness,
  changes: Partial<RecoveryOrder> = {},
): Promise<RecoveryOrder> {
  const server = await world.server(name);
  await world.production.platform.power({ name, owner: null }, 'off');
  return world.order(server, { finalCycle: 'never', option: weakness.option ?? 'backup-and-recover', ...changes });
}

async function finish(handle: RunHandle, option: RecoveryOrder['option']): Promise<unknown> {
  if (option === 'destructive') await decide(handle, await parked(handle), 'commit');
  return handle.result();
}

const families = (handle: RunHandle, step: string): Promise<string[]> =>
  live(handle).then((run) =>
    run.events.flatMap((event) =>
      event.kind === 'attempt-failed' && event.step === step ? [event.data.failure.family] : [],
    ),
  );

test.each(Object.entries(weaknesses))(
  '%s: a transient failure is tried again by itself; a permanent one and one for an operator are parked; the same run goes on',
  async (step, weakness) => {
    const order = await lostServer(`f-${step}`, weakness);
    // All rules see every call: the second fires once the first has.
    await writeFaults(rulesFile, [
      { ...weakness.rule, error: 'TransientError', times: 1 },
      { ...weakness.rule, error: 'PermanentError', times: 1 },
      { ...weakness.rule, error: 'OperatorError', times: 1 },
    ]);
    const handle = await world.start(order);
    const first = await parked(handle);
    expect(first).toMatchObject({ step, kind: 'stuck' });
    await decide(handle, first, 'retry');
    const second = await parked(handle);
    expect(second).toMatchObject({ step, kind: 'stuck', remedy: expect.stringContaining('then retry') as string });
    await decide(handle, second, 'retry');
    expect(await finish(handle, order.option)).toMatchObject({ state: 'succeeded' });
    expect(await families(handle, step)).toEqual(['TransientError', 'PermanentError', 'OperatorError']);
    if (step === 'take-disks') await keepHistory(handle, 'transient');

    const effects = (await readEffects(join(world.folder, 'recovery'))).filter(
      (effect) => effect.target === order.target.machineName,
    );
    for (const what of ['platform.create', 'platform.power-on']) {
      expect(effects.filter((effect) => effect.what === what).length).toBeLessThanOrEqual(1);
    }
  },
);

test.each(Object.entries(weaknesses))(
  '%s: an abort leaves what was before, and replication goes on',
  async (step, weakness) => {
    const order = await lostServer(`a-${step}`, weakness);
    const { id } = order.server;
    const pointsBefore = await world.recovery.replicas.points(id);
    await writeFaults(rulesFile, [{ ...weakness.rule, error: 'OperatorError', times: 1 }]);
    const handle = await world.start(order);
    const stuck = await parked(handle);
    expect(stuck.step).toBe(step);
    await decide(handle, stuck, 'abort', { reason: 'wrong server' });
    expect(await handle.result()).toMatchObject({ state: 'aborted' });
    expect(await world.recovery.platform.find(order.target.machineName)).toBeUndefined();
    expect(await world.recovery.replicas.points(id)).toEqual(pointsBefore);
    expect(await world.recovery.replicas.view(id)).toMatchObject({ heldBy: null });
    await world.production.platform.power({ name: order.server.source.machineName, owner: null }, 'on');
    await world.recovery.replicas.cycle(order.server);
    expect(await world.recovery.replicas.points(id)).toHaveLength(pointsBefore.length + 1);
    if (step === 'prove-boot') await keepHistory(handle, 'aborted');
  },
);

test('all machines of the site are looked at once, before anything is done: hundreds of servers may be recovered there', async () => {
  const order = await lostServer('looks', {} as Weakness);
  await writeFaults(rulesFile, [{ method: 'list', after: 1, error: 'OperatorError', times: 1 }]);
  const handle = await world.start(order);
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  expect((await live(handle)).events.filter(({ kind }) => kind === 'attempt-failed')).toEqual([]);
});

test('a commit that is stuck goes on or is tried again: nobody can go back behind it', async () => {
  const order = await lostServer('commit-stuck', {} as Weakness, { option: 'destructive' });
  await writeFaults(rulesFile, [{ method: 'beginCommit', error: 'OperatorError', times: 1 }]);
  const handle = await world.start(order);
  await decide(handle, await parked(handle), 'commit');
  const stuck = await parked(handle);
  expect(stuck).toMatchObject({ step: 'resume-replication', kind: 'stuck' });
  await expect(decide(handle, stuck, 'retry', { from: 'power-on' })).rejects.toMatchObject({
    cause: { type: 'BadInput', message: expect.stringContaining('no way back') },
  });
  await decide(handle, stuck, 'retry');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
});

test('an abort ends an effect that is under way, and the run does not wait for its attempts', async () => {
  const order = await lostServer('mid-effect', {} as Weakness);
  await writeFaults(rulesFile, [{ method: 'inoculate', delayMs: 60_000, times: 1 }]);
  const handle = await world.start(order);
  while (!(await live(handle)).events.some((event) => event.kind === 'attempt-started' && event.step === 'inoculate')) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await handle.executeUpdate(abortUpdate, { args: [{ reason: 'wrong server', by: ines }] });
  expect(await handle.result()).toMatchObject({ state: 'aborted' });
  expect(await families(handle, 'inoculate')).toEqual(['Cancelled']);
});

test('an undo that fails is stuck like a step, and the abort goes on after a retry', async () => {
  const order = await lostServer('undo', {} as Weakness);
  await writeFaults(rulesFile, [
    { method: 'create', error: 'OperatorError', times: 1 },
    { method: 'drop', error: 'PermanentError', times: 1 },
  ]);
  const handle = await world.start(order);
  await decide(handle, await parked(handle), 'abort');
  const stuck = await parked(handle);
  expect(stuck).toMatchObject({ step: 'take-disks', undo: true, allowed: ['retry', 'skip'] });
  await decide(handle, stuck, 'retry');
  expect(await handle.result()).toMatchObject({
    state: 'aborted',
    summary: expect.stringContaining('Everything was undone') as string,
  });
  await keepHistory(handle, 'undo-stuck');
});

test('the automatic attempts are limited, and every one stands in the record', async () => {
  const order = await lostServer('limited', {} as Weakness, {
    retry: { maxAttempts: 3, firstDelayMs: 5, factor: 2, maxDelayMs: 20 },
  });
  await writeFaults(rulesFile, [{ method: 'take', error: 'TransientError', times: 3 }]);
  const handle = await world.start(order);
  await decide(handle, await parked(handle), 'retry');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  const delays = (await live(handle)).events.flatMap((event) =>
    event.kind === 'attempt-failed' ? [event.data.nextDelayMs] : [],
  );
  expect(delays).toEqual([5, 10, null]);
});

test('a last cycle from a stopped source that fails for now is tried again by itself', async () => {
  const server = await world.server('last-cycle');
  const retry = { maxAttempts: 3, firstDelayMs: 5, factor: 2, maxDelayMs: 20 };
  await writeFaults(rulesFile, [{ method: 'cycle', machine: server.id, error: 'TransientError', times: 1 }]);
  const handle = await world.start(world.order(server, { intent: 'planned', retry }));
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  const { events } = await live(handle);
  expect(events.filter((event) => event.kind === 'parked')).toEqual([]);
  expect(events).toContainEqual(
    expect.objectContaining({
      kind: 'step-done',
      step: 'freeze',
      data: expect.objectContaining({
        result: expect.objectContaining({ finalCycle: 'done', sourceStopped: true }) as unknown,
      }) as unknown,
    }),
  );
  expect(events.filter((event) => event.kind === 'attempt-failed')).toHaveLength(1);
});

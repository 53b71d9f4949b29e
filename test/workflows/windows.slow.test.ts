import { join } from 'node:path';
import { writeFaults } from '../../platforms/faults';
import { readOs } from '../../platforms/simulated/disk-bytes';
import { readEffects } from '../../platforms/simulated/effects';
import type { RecoveryOrder } from '../../model/order';
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

/** A lost server that runs Windows. */
async function lostWindows(name: string): Promise<RecoveryOrder> {
  const server = await world.server(name);
  await world.production.platform.power({ name, owner: null }, 'off');
  const os = { family: 'windows' as const, prettyName: 'Windows Server 2022' };
  return world.order({ ...server, os }, { finalCycle: 'never' });
}

async function stepEvents(handle: RunHandle, step: string): Promise<string[]> {
  return (await live(handle)).events.filter((event) => event.step === step).map(({ kind }) => kind);
}

const registryWrites = async (order: RecoveryOrder) =>
  (await readEffects(join(world.folder, 'recovery'))).filter(
    ({ what, target }) => what === 'disks.update-registry' && target.includes(order.server.id),
  );

test('the registry of a Windows is updated between inoculation and the machine', async () => {
  const order = await lostWindows('win');
  const handle = await world.start(order);
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  expect(await stepEvents(handle, 'update-registry')).toContain('step-done');
  expect(await registryWrites(order)).toHaveLength(1);
  const [disk] = (await world.recovery.platform.find(order.target.machineName))!.disks;
  expect((await readOs(disk!.path))?.registry).toEqual(['pvscsi', 'vmxnet3']);
});

test('a registry that cannot be updated parks the run; a retry goes on, and what was done is not done again', async () => {
  const order = await lostWindows('win-stuck');
  await writeFaults(rulesFile, [{ method: 'updateRegistry', error: 'OperatorError', times: 1, when: 'after' }]);
  const handle = await world.start(order);
  const stuck = await parked(handle);
  expect(stuck).toMatchObject({ step: 'update-registry', kind: 'stuck' });
  await decide(handle, stuck, 'retry');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  expect(await registryWrites(order)).toHaveLength(1);
});

test('the step can be skipped with a reason, which never reads as success', async () => {
  const order = await lostWindows('win-skipped');
  await writeFaults(rulesFile, [{ method: 'updateRegistry', error: 'OperatorError', times: 1 }]);
  const handle = await world.start(order);
  const stuck = await parked(handle);
  await decide(handle, stuck, 'skip', { reason: 'the drivers are installed' });
  expect(await handle.result()).toMatchObject({ state: 'succeeded-with-exceptions' });
  expect(await registryWrites(order)).toEqual([]);
});

test('without inoculation the registry is left as it is, too', async () => {
  const order = await lostWindows('win-as-it-is');
  const handle = await world.start({ ...order, inoculate: false });
  const unproven = await parked(handle);
  expect(unproven.step).toBe('prove-boot');
  for (const step of ['inoculate', 'update-registry'])
    expect(await stepEvents(handle, step)).toEqual(['step-announced', 'step-not-applicable']);
  expect(await registryWrites(order)).toEqual([]);
  await decide(handle, unproven, 'skip', { reason: 'the console shows it running' });
  expect(await handle.result()).toMatchObject({ state: 'succeeded-with-exceptions' });
  await keepHistory(handle, 'registry-left');
});

test('a correction that does without inoculation ends the stuck step as skipped, by that decision', async () => {
  const order = await lostWindows('win-waived');
  await writeFaults(rulesFile, [{ method: 'inoculate', error: 'OperatorError', times: 2 }]);
  const handle = await world.start(order);
  const stuck = await parked(handle);
  expect(stuck.step).toBe('inoculate');
  const reason = 'the drivers were installed at the source';
  await decide(handle, stuck, 'provide', { input: { inoculate: false }, reason });
  const unproven = await parked(handle);
  expect(unproven.step).toBe('prove-boot');
  const { events } = await live(handle);
  const ofStep = events.filter((event) => event.step === 'inoculate');
  expect(ofStep.slice(-2)).toMatchObject([
    { kind: 'decided', by: ines, data: { decision: 'provide', reason, input: { inoculate: false } } },
    { kind: 'step-skipped', data: { reason } },
  ]);
  expect(await stepEvents(handle, 'update-registry')).toEqual(['step-announced', 'step-not-applicable']);
  await decide(handle, unproven, 'skip', { reason: 'the console shows it running' });
  expect(await handle.result()).toMatchObject({ state: 'succeeded-with-exceptions' });
  await keepHistory(handle, 'waived');
});

import { join } from 'node:path';
import { writeFaults } from '../../platforms/faults';
import { readOs } from '../../platforms/simulated/disk-bytes';
import { readEffects } from '../../platforms/simulated/effects';
import type { RecoveryOrder } from '../../model/order';
import { decide, live, openWorld, parked } from '../support/world';
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

/** Acts of people that meet each other, or meet the end of what they are about. */
import type { RecoveryOrder } from '../../model/order';
import { writeFaults } from '../../platforms/faults';
import { abortUpdate, decideUpdate } from '../../workflows/messages';
import { ines, tomas } from '../support/order';
import { decide, live, openWorld, parked } from '../support/world';
import type { RunHandle, World } from '../support/world';
import { faulty, faultsFile, runWorkers, type SiteWrapper } from '../support/world-worker';

/** Calls on the replica that end when the test says so, and not by a clock. */
const kept = new Map<'hold' | 'letGo', Promise<void>>();
function keep(method: 'hold' | 'letGo'): () => void {
  let goOn = (): void => undefined;
  kept.set(method, new Promise<void>((resolve) => (goOn = resolve)));
  return () => goOn();
}
const keeping: SiteWrapper = (site, folder) => {
  const parts = faulty(site, folder);
  const replicas: typeof parts.replicas = {
    ...parts.replicas,
    hold: async (...args) => {
      await kept.get('hold');
      return parts.replicas.hold(...args);
    },
    letGo: async (...args) => {
      await kept.get('letGo');
      return parts.replicas.letGo(...args);
    },
  };
  return { ...parts, replicas };
};

let world: World;
let workers: Awaited<ReturnType<typeof runWorkers>>;
beforeAll(async () => {
  world = await openWorld({ recoverySite: faulty, ownWorkers: true });
  workers = await runWorkers(world.settings, keeping);
}, 60_000);
afterEach(async () => {
  kept.clear();
  await writeFaults(faultsFile(world.folder), []);
});
afterAll(async () => {
  await workers?.stop();
  await world?.close();
});

/** A run that needs nobody, unless the test makes something fail. */
async function lostServer(name: string, changes: Partial<RecoveryOrder> = {}, disks = 1): Promise<RunHandle> {
  const server = await world.server(name, { disks });
  await world.production.platform.power({ name, owner: null }, 'off');
  return world.start(world.order(server, { finalCycle: 'never', ...changes }));
}

async function began(handle: RunHandle, step: string): Promise<void> {
  const isIt = (event: { kind: string; step: string | null }) =>
    event.kind === 'attempt-started' && event.step === step;
  while (!(await live(handle)).events.some(isIt)) await new Promise((resolve) => setTimeout(resolve, 10));
}

const abort = (handle: RunHandle): Promise<unknown> =>
  handle.executeUpdate(abortUpdate, { args: [{ reason: 'wrong server', by: ines }] });

test('a machine that is renamed on the way back is undone under its old name', async () => {
  const handle = await lostServer('renamed', { inoculate: false });
  const stuck = await parked(handle);
  expect(stuck.step).toBe('prove-boot');
  await decide(handle, stuck, 'retry', { from: 'inoculate', input: { inoculate: true, machineName: 'new-name' } });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  expect(await world.recovery.platform.find('renamed-recovered')).toBeUndefined();
  expect(await world.recovery.platform.find('new-name')).toMatchObject({ power: 'on' });
});

test('an abort that is accepted while the last step ends by itself is followed', async () => {
  const goOn = keep('letGo');
  const handle = await lostServer('late');
  await began(handle, 'resume-replication');
  await abort(handle);
  goOn();
  expect(await handle.result()).toMatchObject({ state: 'aborted' });
  expect(await world.recovery.platform.find('late-recovered')).toBeUndefined();
});

test("Temporal's own cancel after an abort is noted, and the abort goes on", async () => {
  const goOn = keep('hold');
  const handle = await lostServer('twice');
  await began(handle, 'freeze');
  await abort(handle);
  await handle.cancel();
  goOn();
  expect(await handle.result()).toMatchObject({ state: 'aborted' });
  expect((await live(handle)).events.filter((event) => event.kind === 'noted')).toHaveLength(1);
});

test('decisions that arrive together with the one that sends the run elsewhere are refused, not half applied', async () => {
  await writeFaults(faultsFile(world.folder), [{ method: 'handOver', error: 'OperatorError', times: 2 }]);
  const handle = await lostServer('together', {}, 2);
  await parked(handle);
  while ((await live(handle)).parkings.length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
  const [first, second] = (await live(handle)).parkings;
  await workers.stop();
  const answerOf = (update: Promise<unknown>): Promise<unknown> =>
    update.then(
      () => 'accepted',
      (error: { cause?: { type?: string } }) => error.cause?.type ?? error,
    );
  const back = { decision: 'retry', reason: 'as the test says', input: null } as const;
  const both = [
    { ...back, ...first!, from: 'take-disks', by: ines },
    { ...back, ...second!, from: 'create-machine', by: tomas },
  ].map(({ step, item, epoch, decision, reason, from, input, by }) =>
    answerOf(handle.executeUpdate(decideUpdate, { args: [{ step, item, epoch, decision, reason, from, input, by }] })),
  );
  await new Promise((resolve) => setTimeout(resolve, 500));
  workers = await runWorkers(world.settings, keeping);
  expect((await Promise.all(both)).sort()).toEqual(['AlreadyDecided', 'accepted']);
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  expect((await live(handle)).events.filter((event) => event.kind === 'decided')).toHaveLength(1);
});

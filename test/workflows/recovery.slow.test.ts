import { decide, keepHistory, live, openWorld, parked } from '../support/world';
import type { World } from '../support/world';
import { readEffects } from '../../platforms/simulated/effects';
import { changeSettings } from '../../platforms/simulated/site';
import { pushButtonDeclaration } from '../../workflows/push-button-recovery.steps';
import { verifyChain } from '../../record/chain';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

let world: World;
beforeAll(async () => {
  world = await openWorld();
}, 60_000);
afterAll(async () => world?.close());

test('a server comes back on other hardware and its service answers with the data of the point', async () => {
  const server = await world.server('app01', { disks: 2 });
  await world.production.platform.power({ name: 'app01', owner: null }, 'off');
  const handle = await world.start(world.order(server, { lostAt: new Date().toISOString() }));
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });

  const machine = await world.recovery.platform.find('app01-recovered');
  expect(machine).toMatchObject({ power: 'on', owner: { runId: handle.runOrder.runId } });
  const answer = await world.recovery.platform.runInGuest('app01-recovered', {
    path: '/usr/local/bin/counter-status',
    args: [],
    timeoutMs: 1000,
  });
  expect(JSON.parse(answer.stdout)).toMatchObject({ service: 'counter', chain: 'ok' });
  const rows = await world.store.journal.rows(handle.runOrder.runId);
  expect(verifyChain(rows)).toMatchObject({ ok: true });
  expect(rows.at(-1)!.kind).toBe('run-closed');
  await keepHistory(handle, 'succeeded');
});

test('what the procedure declares and what it runs are the same steps in the same order', async () => {
  const server = await world.server('declared');
  await world.production.platform.power({ name: 'declared', owner: null }, 'off');
  const handle = await world.start(world.order(server));
  await handle.result();
  const run = await live(handle);
  const ran = run.events.filter((event) => event.kind === 'step-announced').map((event) => event.step);
  expect(ran).toEqual(pushButtonDeclaration.steps.map((step) => step.id));
});

test('a destructive recovery waits for commit, and then the machine stands on the replica and replication is gone', async () => {
  const server = await world.server('committed');
  await world.production.platform.power({ name: 'committed', owner: null }, 'off');
  const handle = await world.start(world.order(server, { option: 'destructive' }));
  const gate = await parked(handle);
  expect(gate).toMatchObject({ step: 'resume-replication', kind: 'gate', allowed: ['commit', 'roll-back'] });
  expect(await world.recovery.replicas.view(server.id)).toMatchObject({ state: 'suspended' });
  await decide(handle, gate, 'commit');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  expect(await world.recovery.replicas.view(server.id)).toMatchObject({ state: 'removed' });
  expect(await world.recovery.platform.find('committed-recovered')).toMatchObject({ power: 'on' });
  await keepHistory(handle, 'committed');
});

test('rolling a destructive recovery back leaves what was before', async () => {
  const server = await world.server('rolled');
  await world.production.platform.power({ name: 'rolled', owner: null }, 'off');
  const before = await world.recovery.replicas.points(server.id);
  const handle = await world.start(world.order(server, { option: 'destructive', finalCycle: 'never' }));
  await decide(handle, await parked(handle), 'roll-back');
  expect(await handle.result()).toMatchObject({ state: 'aborted' });
  expect(await world.recovery.platform.find('rolled-recovered')).toBeUndefined();
  expect(await world.recovery.replicas.points(server.id)).toEqual(before);
  expect(await world.recovery.replicas.view(server.id)).toMatchObject({ heldBy: null });
  await keepHistory(handle, 'rolled-back');
});

test('while the source answers, power-on waits for a person', async () => {
  const server = await world.server('alive');
  const handle = await world.start(world.order(server));
  const gate = await parked(handle);
  expect(gate).toMatchObject({ step: 'power-on', kind: 'gate' });
  expect(gate.cause).toContain('still runs');
  expect((await world.recovery.platform.find('alive-recovered'))?.power).toBe('off');
  await decide(handle, gate, 'approve');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  await keepHistory(handle, 'approved');
});

test('a rehearsal on a network that is not isolated is stopped before anything is touched', async () => {
  const server = await world.server('rehearsed');
  const handle = await world.start(world.order(server, { mode: 'rehearsal' }));
  const stuck = await parked(handle);
  expect(stuck).toMatchObject({ step: 'preflight', kind: 'stuck' });
  expect(stuck.cause).toContain('isolated');
  await decide(handle, stuck, 'provide', { input: { networks: { lan: 'isolated' } } });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  await keepHistory(handle, 'provided');
});

test('without inoculation the proof fails with the cause from the console, and going back to inoculate mends the same run', async () => {
  const server = await world.server('plain');
  await world.production.platform.power({ name: 'plain', owner: null }, 'off');
  const handle = await world.start(world.order(server, { inoculate: false }));
  const stuck = await parked(handle);
  expect(stuck).toMatchObject({ step: 'prove-boot', kind: 'stuck' });
  expect(stuck.cause).toContain('driver of the new disk controller is missing');
  await decide(handle, stuck, 'retry', { from: 'inoculate', input: { inoculate: true } });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  const effects = await readEffects(join(world.folder, 'recovery'));
  expect(effects.filter((effect) => effect.what === 'disks.inoculate' && effect.target !== '')).not.toHaveLength(0);
  await keepHistory(handle, 'rewound');
});

test('a planned recovery stops the source first and brings its last writes over; aborted, the source runs again', async () => {
  const server = await world.server('moved');
  const [first] = await world.recovery.replicas.points(server.id);
  const handle = await world.start(world.order(server, { intent: 'planned', powerOn: 'decision' }));
  const gate = await parked(handle);
  expect(gate).toMatchObject({ step: 'power-on', kind: 'gate' });
  expect(await world.production.platform.find('moved')).toMatchObject({ power: 'off' });
  const frozen = (await live(handle)).events.find((event) => event.kind === 'step-done' && event.step === 'freeze');
  expect(frozen?.data).toMatchObject({ result: { finalCycle: 'done', sourceStopped: true } });
  expect((await world.recovery.replicas.points(server.id)).at(-1)?.pointId).not.toBe(first!.pointId);
  await decide(handle, gate, 'abort');
  expect(await handle.result()).toMatchObject({ state: 'aborted' });
  expect(await world.production.platform.find('moved')).toMatchObject({ power: 'on' });
});

test('copies let replication go on while the run still waits, points are merged, and every disk is copied once', async () => {
  const server = await world.server('copied', { disks: 2 });
  const handle = await world.start(world.order(server, { option: 'copy-and-recover', powerOn: 'decision' }));
  const gate = await parked(handle);
  expect(gate).toMatchObject({ step: 'power-on', kind: 'gate' });
  expect(await world.recovery.replicas.view(server.id)).toMatchObject({ state: 'replicating', heldBy: null });
  const [oldest] = await world.recovery.replicas.points(server.id);
  for (let count = 0; count < server.cadence.keepPoints; count += 1) await world.recovery.replicas.cycle(server);
  expect(await world.recovery.replicas.points(server.id)).not.toContainEqual(oldest);
  await decide(handle, gate, 'approve');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  expect((await live(handle)).events).toContainEqual(
    expect.objectContaining({
      kind: 'step-done',
      step: 'suspend-replication',
      data: { result: { state: 'replicating' } },
    }),
  );
  const ran = (await live(handle)).events.filter(({ kind }) => kind === 'step-announced').map(({ step }) => step);
  expect(ran).toEqual(pushButtonDeclaration.steps.map((step) => step.id));
  const effects = await readEffects(join(world.folder, 'recovery'));
  const ofRun = effects.filter(({ runId }) => runId === handle.runOrder.runId).map(({ what }) => what);
  expect(ofRun.filter((what) => what === 'replicas.take')).toHaveLength(1);
  await world.recovery.replicas.remove(server.id);
  expect(await world.recovery.platform.find('copied-recovered')).toMatchObject({ power: 'on' });
  const answer = { path: '/usr/local/bin/counter-status', args: [], timeoutMs: 1000 };
  expect((await world.recovery.platform.runInGuest('copied-recovered', answer)).stdout).toContain('"chain":"ok"');
  await keepHistory(handle, 'copied');
});

test('a recovery with copies that is aborted leaves neither copies nor a hold behind', async () => {
  const server = await world.server('copied-back');
  const before = await world.recovery.replicas.points(server.id);
  const order = world.order(server, { option: 'copy-and-recover', powerOn: 'decision', finalCycle: 'never' });
  const handle = await world.start(order);
  await decide(handle, await parked(handle), 'abort');
  expect(await handle.result()).toMatchObject({ state: 'aborted' });
  expect(await world.recovery.replicas.points(server.id)).toEqual(before);
  expect(await world.recovery.replicas.view(server.id)).toMatchObject({ state: 'replicating', heldBy: null });
  expect(existsSync(join(world.folder, 'recovery', 'recovered', server.id))).toBe(false);
});

test('preflight asks for the room that copies take, which overlays do not', async () => {
  const server = await world.server('copied-wide', { disks: 2 });
  await world.production.platform.power({ name: 'copied-wide', owner: null }, 'off');
  const folder = join(world.folder, 'recovery');
  const [plenty, room] = [1024 ** 4, 512 * 1024 ** 2 + 300 * 1024];
  await changeSettings(folder, { capacityBytes: plenty });
  const usedBytes = plenty - (await world.recovery.replicas.freeBytes());
  // Two disks of 256 KiB: room for what a run writes into overlays, not for copies as well.
  await changeSettings(folder, { capacityBytes: usedBytes + room });
  const handle = await world.start(world.order(server, { option: 'copy-and-recover', finalCycle: 'never' }));
  const stuck = await parked(handle);
  expect(stuck).toMatchObject({ step: 'preflight', kind: 'stuck' });
  expect(stuck.cause).toContain('space for the copies');
  await changeSettings(folder, { capacityBytes: null });
  await decide(handle, stuck, 'retry');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
});

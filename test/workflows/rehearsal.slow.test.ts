/** Rehearsals on a simulated site: isolated, given up for a recovery, cleaned up whatever happens, and proven to have left nothing. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { v7 } from 'uuid';
import type { RecoveryOrder } from '../../model/order';
import { writeFaults } from '../../platforms/faults';
import { readEffects } from '../../platforms/simulated/effects';
import { abortUpdate, workflowQueue, type LiveRun, type Parking } from '../../workflows/messages';
import { declarationOf } from '../../workflows/push-button-recovery.steps';
import { ines } from '../support/order';
import { until } from '../support/plan-runs';
import { filesOfSite, rehearsalOrder, startRun } from '../support/rehearsal';
import {
  decide,
  describeEvents,
  keepHistory,
  live,
  openWorld,
  parked,
  type RunHandle,
  type World,
} from '../support/world';
import { faultsFile, faulty } from '../support/world-worker';

let world: World;
beforeAll(async () => {
  world = await openWorld({ recoverySite: faulty });
}, 60_000);
afterAll(async () => world?.close());
afterEach(() => writeFaults(faultsFile(world.folder), []));

const tryOut = { title: 'Try the shop', question: 'Log in and order something.' };

async function parkedAt(handle: RunHandle, step: string): Promise<Parking> {
  const parking = await parked(handle);
  if (parking.step !== step) throw new Error(`It waits at ${parking.step}:\n${describeEvents(await live(handle))}`);
  return parking;
}

const ranSteps = (run: LiveRun): (string | null)[] => [
  ...new Set(run.events.filter(({ kind }) => kind === 'step-announced').map(({ step }) => step)),
];
const resultOf = (run: LiveRun, step: string, kind: 'step-done' | 'attempt-succeeded' = 'step-done') =>
  (run.events.filter((event) => event.kind === kind && event.step === step).at(-1)?.data as { result: unknown }).result;
const platform = () => world.recovery.platform;

test('a rehearsal runs isolated, lets replication go on, is tried out, cleaned up, and has left nothing', async () => {
  const server = await world.server('r1');
  const before = await filesOfSite(world);
  const order = rehearsalOrder(world, server, { tryOut });
  const handle = await startRun(world, order);
  const parking = await parkedAt(handle, 'try-out');
  expect(parking).toMatchObject({
    kind: 'gate',
    allowed: ['approve', 'abort'],
    remedy: expect.stringContaining('Log in'),
  });

  const { machineName } = order.target;
  const network = order.isolation!.networks[0]!;
  expect(await platform().find(machineName)).toMatchObject({ power: 'on', nics: [{ network }] });
  expect(await platform().networks()).toMatchObject([
    { name: network, owner: { runId: order.runId }, uplinks: [], plugged: [{ machine: machineName }] },
  ]);
  // Nothing holds the replica while the machine runs from it, and a cycle brings it further.
  const held = await world.recovery.replicas.view(server.id);
  expect(held).toMatchObject({ state: 'replicating', heldBy: null });
  await world.recovery.replicas.cycle(server);

  await decide(handle, parking, 'approve');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  await keepHistory(handle, 'rehearsed');
  expect(await filesOfSite(world)).toEqual(before);
  expect(await platform().find(machineName)).toBeUndefined();
  expect(await platform().networks()).toEqual([]);

  const run = await live(handle);
  expect(ranSteps(run)).toEqual(declarationOf(order).steps.map(({ id }) => id));
  expect(run.events.filter(({ kind }) => kind === 'step-undone')).toEqual([]);
  expect(resultOf(run, 'prove-isolation')).toMatchObject({
    nics: [{ network, isolatedBy: 'made for this run' }],
    networks: [{ name: network, plugged: [machineName] }],
  });
  const proof = resultOf(run, 'prove-clean') as {
    rows: { verdict: string }[];
    replication: { moment: string; ok: boolean }[];
  };
  expect(proof.rows.filter(({ verdict }) => verdict !== 'same' && verdict !== 'of others')).toEqual([]);
  expect(proof.replication.map(({ moment, ok }) => [moment, ok])).toEqual([
    ['before', true],
    ['during', true],
    ['after', true],
  ]);
  const evidence = run.events.flatMap((event) => (event.kind === 'evidence' ? [event.data.evidence.name] : []));
  expect(evidence).toEqual(
    expect.arrayContaining(['survey-before.json', 'isolation.json', 'survey-compared.json', 'screenshot.png']),
  );
});

test('aborted while people try it, it is cleaned up by the undos, and the comparison comes last', async () => {
  const server = await world.server('r2');
  const before = await filesOfSite(world);
  const handle = await startRun(world, rehearsalOrder(world, server, { tryOut, option: 'copy-and-recover' }));
  await parkedAt(handle, 'try-out');
  await handle.executeUpdate(abortUpdate, { args: [{ reason: 'Wrong week', by: ines }] });
  expect(await handle.result()).toMatchObject({
    state: 'aborted',
    summary: expect.stringContaining('Everything was undone'),
  });
  expect(await filesOfSite(world)).toEqual(before);
  const run = await live(handle);
  const undone = run.events.filter(({ kind }) => kind === 'step-undone').map(({ step }) => step);
  expect(undone.at(-1)).toBe('survey');
  expect(resultOf(run, 'survey', 'attempt-succeeded')).toMatchObject({
    before: expect.any(String),
    after: expect.any(String),
  });
});

test('nobody tries it within its limit: it has failed, and is cleaned up', async () => {
  const server = await world.server('r3');
  const before = await filesOfSite(world);
  const handle = await startRun(world, rehearsalOrder(world, server, { tryOut, giveUpAfterMs: 300 }));
  expect(await handle.result()).toMatchObject({ state: 'failed', summary: expect.stringContaining('nobody tried it') });
  expect(await filesOfSite(world)).toEqual(before);
});

/** Writes a way out into the rehearsal's network, as somebody at the site would plug one in; call what it returns to take it out. */
async function plugIn(order: RecoveryOrder): Promise<() => Promise<void>> {
  const file = join(world.folder, 'recovery', 'networks', `${order.isolation!.networks[0]!}.json`);
  const untouched = await readFile(file, 'utf8');
  await writeFile(file, JSON.stringify({ ...(JSON.parse(untouched) as object), uplinks: ['eth1'] }));
  return () => writeFile(file, untouched);
}

test('with a way out nobody is even asked for power-on', async () => {
  const order = rehearsalOrder(world, await world.server('r11'), { powerOn: 'decision' });
  await writeFaults(faultsFile(world.folder), [{ method: 'create', error: 'OperatorError', times: 1 }]);
  const handle = await startRun(world, order);
  const notYet = await parkedAt(handle, 'create-machine');
  const takeOut = await plugIn(order);
  await decide(handle, notYet, 'retry');
  const stuck = await parkedAt(handle, 'power-on');
  expect(stuck).toMatchObject({ kind: 'stuck', cause: expect.stringMatching(/not isolated.*has a way out: eth1/) });
  await takeOut();
  await decide(handle, stuck, 'retry');
  await decide(handle, await parkedAt(handle, 'power-on'), 'approve');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
});

test('a way out that somebody plugs in while people are asked keeps the machine off, however long that took', async () => {
  const order = rehearsalOrder(world, await world.server('r4'), { powerOn: 'decision' });
  const handle = await startRun(world, order);
  const gate = await parkedAt(handle, 'power-on');
  const takeOut = await plugIn(order);
  await decide(handle, gate, 'approve');
  const stuck = await parkedAt(handle, 'power-on');
  expect(stuck.cause).toMatch(/not isolated.*has a way out: eth1/);
  expect((await platform().find(order.target.machineName))?.power).toBe('off');
  await takeOut();
  await decide(handle, stuck, 'retry');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
});

test('a way out that somebody plugs in while it runs is found, named, and stops it', async () => {
  const proof = { heartbeatTimeoutMs: 30_000, stableForMs: 8_000, screenshot: true };
  const order = rehearsalOrder(world, await world.server('r10'), { proof });
  const handle = await startRun(world, order);
  await until(async () => (await platform().find(order.target.machineName))?.power === 'on');
  const takeOut = await plugIn(order);
  const stuck = await parkedAt(handle, 'prove-isolation');
  expect(stuck.cause).toMatch(/not isolated.*has a way out: eth1/);
  expect(stuck.allowed).not.toContain('skip');
  await takeOut();
  await decide(handle, stuck, 'retry');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
});

test('what is left behind is named with its remedy, and the rehearsal is stuck until it is gone', async () => {
  const server = await world.server('r5');
  const order = rehearsalOrder(world, server, { tryOut });
  const handle = await startRun(world, order);
  const gate = await parkedAt(handle, 'try-out');
  const left = { name: `left-${v7()}`, owner: { tenantId: order.tenantId, runId: order.runId } };
  await platform().createNetwork(left);
  await decide(handle, gate, 'approve');
  const stuck = await parkedAt(handle, 'prove-clean');
  expect(stuck.cause).toContain(`network ${left.name}`);
  expect(stuck.remedy).toContain(`muster rehearsal clean-up ${order.runId}`);
  await expect(decide(handle, stuck, 'retry', { from: 'inoculate' })).rejects.toMatchObject({
    cause: { message: expect.stringContaining('nobody can go back') },
  });
  await platform().removeNetwork(left);
  await decide(handle, stuck, 'retry');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
});

test('replication that stood still while the machine stood is named, and the rehearsal no plain success', async () => {
  const server = await world.server('r9');
  const { replicas } = world.recovery;
  const order = rehearsalOrder(world, server, { powerOn: 'decision' });
  const handle = await startRun(world, order);
  const gate = await parkedAt(handle, 'power-on');
  await replicas.hold(server.id, order.runId, 'frozen', { yields: true });
  await decide(handle, gate, 'approve');
  const stuck = await parkedAt(handle, 'prove-clean');
  expect(stuck.cause).toContain('replication (before: running, while its machine stood: frozen');
  expect(stuck.remedy).toContain('rehearse again');
  await decide(handle, stuck, 'skip');
  expect(await handle.result()).toMatchObject({ state: 'succeeded-with-exceptions' });
});

test('a destructive recovery that is started meanwhile goes through; the rehearsal gives way and says why', async () => {
  const server = await world.server('r6');
  const rehearsed = rehearsalOrder(world, server, { tryOut });
  const rehearsal = await startRun(world, rehearsed);
  await parkedAt(rehearsal, 'try-out');
  await world.production.platform.power({ name: 'r6', owner: null }, 'off');
  const recovery = await startRun(world, world.order(server, { option: 'destructive' }));
  const commit = await parkedAt(recovery, 'resume-replication');
  expect(await rehearsal.result()).toMatchObject({
    state: 'aborted',
    summary: expect.stringContaining(`run ${recovery.runOrder.runId}`),
  });
  await keepHistory(rehearsal, 'gave-way');
  await decide(recovery, commit, 'commit');
  expect(await recovery.result()).toMatchObject({ state: 'succeeded' });
  expect(await platform().find('r6-recovered')).toMatchObject({ power: 'on' });
  expect(await platform().find(rehearsed.target.machineName)).toBeUndefined();
});

test('a recovery takes the replica over while the rehearsal still holds it, with no session and no signal to help', async () => {
  const server = await world.server('r7');
  const { replicas } = world.recovery;
  await replicas.hold(server.id, 'a-rehearsal', 'frozen', { yields: true });
  await expect(replicas.hold(server.id, 'another-rehearsal', 'frozen', { yields: true })).rejects.toThrow(
    /a-rehearsal/,
  );
  await world.production.platform.power({ name: 'r7', owner: null }, 'off');
  const recovery = await startRun(world, world.order(server));
  expect(await recovery.result()).toMatchObject({ state: 'succeeded' });
});

test('a rehearsal asked for the destructive option, or to stop the source, does nothing', async () => {
  const server = await world.server('r8');
  const before = await filesOfSite(world);
  for (const [change, found] of [
    [{ option: 'destructive' }, /option destructive in a rehearsal/],
    [{ intent: 'planned' }, /intent planned in a rehearsal/],
  ] as const) {
    const handle = await startRun(world, rehearsalOrder(world, server, change));
    const stuck = await parkedAt(handle, 'preflight');
    expect(stuck.cause).toMatch(found);
    await decide(handle, stuck, 'skip');
    const again = await parkedAt(handle, 'freeze');
    expect(again.cause).toMatch(found);
    await decide(handle, again, 'abort');
    expect(await handle.result()).toMatchObject({ state: 'aborted' });
  }
  expect(await filesOfSite(world)).toEqual(before);
  expect((await world.production.platform.find('r8'))?.power).toBe('on');
});

test('a rehearsal whose workflow was ended from outside is cleaned up by a run of its own; again it does no harm', async () => {
  const server = await world.server('r9');
  const before = await filesOfSite(world);
  const order = rehearsalOrder(world, server, { tryOut });
  const handle = await startRun(world, order);
  await parkedAt(handle, 'try-out');
  await handle.terminate('somebody at Temporal');
  expect(await filesOfSite(world)).not.toEqual(before);
  const { tryOut: _, ...rest } = order;
  for (const state of ['succeeded', 'succeeded']) {
    const alone = { ...rest, runId: v7(), procedure: 'rehearsal-clean-up' as const, cleansUp: order.runId };
    const cleaning = await world.client.workflow.start('rehearsalCleanUp', {
      ...{ taskQueue: workflowQueue, workflowId: `clean-up/${alone.runId}`, args: [alone] },
    });
    expect(await cleaning.result()).toMatchObject({ state });
    await keepHistory(cleaning, 'cleaned-up');
  }
  expect(await filesOfSite(world)).toEqual(before);
  const effects = await readEffects(join(world.folder, 'recovery'));
  expect(effects.filter(({ what, runId }) => what === 'platform.remove' && runId === order.runId)).toHaveLength(1);
});
